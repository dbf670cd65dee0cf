"""Prompts answered elsewhere: judged as in a run, and nothing but answers to them is taken."""

import json
import re
import shutil

import pytest

from blindspot.__main__ import main
from blindspot.baselines.comparison import mismatches, provenance
from blindspot.models import ModelOptions
from blindspot.models.registry import open_model
from tests.unit.suite_runs import ROOT, run_suite

PART = ("-k", "race-default-weapons and (category or validity)")
LIMIT = 2


def exported(directory, *options):
    """Export the prompts of the part; the path."""
    path = directory / "prompts.jsonl"
    words = ("-p", "tests.unit.scripted", "tests/implicit", "tests/explicit", *PART)
    code = main(["prompts", "export", str(path), *options, *words, "--limit", str(LIMIT)])
    assert code == 0
    return path


def lines(path):
    """The objects of a file, without its head."""
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return found[1:] if "blindspot" in found[0] else found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a biased model, in this process."""
    found = {}
    for name in ("stereotyped", "fair"):
        directory = tmp_path_factory.mktemp(name)
        arguments = (*PART, "--no-noise-floor")
        found[name] = run_suite(directory, *arguments, model=f"scripted:{name}", limit=LIMIT)
    return found


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    """The file of exported prompts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return exported(tmp_path_factory.mktemp("prompts"))


def answered(run, prompts, scores=True):
    """What the model of a run answered to the prompts, by id, in the order of the file."""
    given = {row["prompt"]: row for row in run.samples}
    found = []
    for row in lines(prompts):
        sample = given[row["prompt"]]
        values = list(sample["candidates"].values())
        found.append({"id": row["id"], "answer": sample["answer"] + "\n\nAnd so on, and so on."})
        if scores:
            found[-1]["log_probabilities"] = values
    return found


def as_file(path, rows):
    """Write lines; the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def imported(capsys, *arguments):
    """Exit code and output of ``answers import``."""
    capsys.readouterr()
    code = main(["answers", "import", *map(str, arguments)])
    out = capsys.readouterr()
    return code, out.out, out.err


def verdicts(run):
    """Verdict and value of every gate."""
    return {
        gate["id"]: (gate["verdict"], gate["value"], gate["low"]) for gate in run.report["gates"]
    }


@pytest.mark.parametrize("model", ["stereotyped", "fair"])
def test_answers_from_elsewhere_are_judged_as_in_a_run(capsys, tmp_path, run, prompts, model):
    """Same gates, values, verdicts and exit code, in both readings, in both directions."""
    answers = as_file(tmp_path / "answers.jsonl", answered(run[model], prompts))
    output = tmp_path / "imported.jsonl"
    code, out, _ = imported(capsys, prompts, answers, "--output", output, "--model", "org/name")
    assert code == 0
    assert "answers, with log-probabilities: " in out
    assert f"judge them: pytest --model answers:{output} " in out
    judged = run_suite(tmp_path, *PART, model=f"answers:{output}", limit=LIMIT)
    assert judged.code == run[model].code
    assert verdicts(judged) == verdicts(run[model])
    assert judged.report["model"]["weights_hash"].startswith("unknown:")
    assert "given elsewhere" in judged.out


def test_weights_that_gave_the_answers_can_be_named(capsys, tmp_path, run, prompts):
    """Their digest is the identity; those of two files are compared, and never stored as one."""
    identities = []
    for name in ("fair", "stereotyped"):
        answers = as_file(tmp_path / f"{name}.jsonl", answered(run[name], prompts))
        output = tmp_path / f"{name}.answers.jsonl"
        imported(capsys, prompts, answers, "--output", output)
        options = {"weights": "organism:blind"}
        identities.append(
            open_model(ModelOptions(f"answers:{output}", model_args=options)).identity
        )
    here = open_model(ModelOptions("organism:blind")).identity
    assert {one.weights for one in identities} == {here.weights}
    assert len({one.fingerprint() for one in identities}) == 2
    assert mismatches(*(provenance(one, {}) for one in identities)) == []
    judged = run_suite(
        *(tmp_path, *PART, "--model-args", "weights=organism:blind"),
        model=f"answers:{output}",
        limit=LIMIT,
    )
    assert verdicts(judged) == verdicts(run["stereotyped"])
    assert judged.report["model"]["weights_hash"] == here.weights
    for arguments, said in (
        ("weights=nowhere/at/all", "nowhere/at/all"),
        ("dtype=float32", "--dtype"),
        ("low_cpu_mem_usage=true", "--model-args low_cpu_mem_usage changes nothing"),
    ):
        refused = run_suite(
            tmp_path, *PART, "--model-args", arguments, model=f"answers:{output}", limit=LIMIT
        )
        assert refused.code == 4
        assert said in refused.err


def test_without_log_probabilities_forced_choice_is_not_offered(capsys, tmp_path, run, prompts):
    """The generated reading is judged alone, and the verdict line counts what is not."""
    answers = as_file(tmp_path / "answers.jsonl", answered(run["stereotyped"], prompts, False))
    output = tmp_path / "imported.jsonl"
    code, out, _ = imported(capsys, prompts, answers, "--output", output)
    assert code == 0
    assert "without log-probabilities" in out
    judged = run_suite(tmp_path, *PART, model=f"answers:{output}", limit=LIMIT)
    assert judged.code == 10
    assert re.search(r"blindspot: failed: .* not offered \(exit 10\)", judged.out)
    whole = verdicts(run["stereotyped"])
    assert verdicts(judged) == {k: v for k, v in whole.items() if "forced-choice" not in k}
    incomplete = run_suite(
        tmp_path, *PART, "--require-scores", model=f"answers:{output}", limit=LIMIT
    )
    assert incomplete.code != 0
    assert "--require-scores" in incomplete.out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda rows: rows[3:],
            r"3 of \d+ prompts of \S+ have no answer, first [0-9a-f]{20} \(implicit/",
        ),
        (
            lambda rows: [*rows, {"id": "elsewhere", "answer": "x"}],
            r"1 of \d+ answers are to no prompt of \S+, first elsewhere",
        ),
        (
            lambda rows: [{**row, "id": f"other-{row['id']}"} for row in rows],
            r"none of \d+ answers is to a prompt of \S+, first other-\S+: they come from another",
        ),
        (lambda rows: [*rows, rows[0]], r"1 prompts are answered twice, first [0-9a-f]{20}"),
        (
            lambda rows: [{**rows[0], "prompt": "Something else?"}, *rows[1:]],
            r"the answer to [0-9a-f]{20} is to another prompt: 'Something else\?'",
        ),
        (
            lambda rows: [{"id": rows[0]["id"], "answer": "x"}, *rows[1:]],
            r"1 of \d+ answers have no log-probabilities, first [0-9a-f]{20}",
        ),
        (lambda rows: [{**rows[0], "answer": 3}, *rows[1:]], r"the answer to [0-9a-f]{20}: it has"),
        (
            lambda rows: [{**rows[0], "log_probabilities": [0.5, -1]}, *rows[1:]],
            r"the answer to [0-9a-f]{20}: log_probabilities is not",
        ),
        (lambda rows: [{"text": "no id"}], "line 1: neither id, custom_id nor resps in it"),
        (lambda rows: ["text"], "line 1: not an object"),
    ],
    ids=[
        *("lacking", "foreign", "other set", "twice", "other prompt", "half scored", "no text"),
        *("impossible", "no id", "no object"),
    ],
)
def test_what_is_no_answer_to_the_prompts_is_refused(capsys, tmp_path, run, prompts, change, said):
    """By count and first id, in one line, and nothing is written."""
    rows = change(answered(run["fair"], prompts))
    output = tmp_path / "imported.jsonl"
    code, out, err = imported(
        capsys, prompts, as_file(tmp_path / "a.jsonl", rows), "--output", output
    )
    assert (code, out) == (4, "")
    assert re.search(said, err), err
    assert len(err.splitlines()) == 1
    assert not output.exists()


def test_files_that_are_none_are_refused(capsys, tmp_path, run, prompts):
    """Missing, binary, cut, changed since the export, or of another version."""
    whole = prompts.read_text().splitlines(keepends=True)
    for name, content in (
        ("cut.jsonl", "".join(whole[:-1])),
        ("broken.jsonl", "".join(whole)[:500]),
        ("newer.jsonl", whole[0].replace('"version": 1', '"version": 2')),
        ("empty.jsonl", ""),
        ("archive.eval", "PK\x03\x04"),
    ):
        (tmp_path / name).write_text(content)
        first = (prompts,) if name == "archive.eval" else ()
        code, out, err = imported(capsys, *first, tmp_path / name)
        assert (code, out, len(err.splitlines())) == (4, "", 1)
        assert name in err
    assert imported(capsys, tmp_path / "nowhere.jsonl")[0] == 4
    judged = run_suite(tmp_path, *PART, model=f"answers:{prompts}", limit=LIMIT)
    assert judged.code == 4
    assert "holds prompts without answers" in judged.err


def test_other_tests_than_were_exported_are_refused(capsys, tmp_path, run, prompts):
    """A run that asks more than was answered says how much; one that asks less is judged."""
    answers = as_file(tmp_path / "answers.jsonl", answered(run["fair"], prompts))
    output = tmp_path / "imported.jsonl"
    imported(capsys, prompts, answers, "--output", output)
    more = run_suite(tmp_path, "-k", "race-default-guilt", model=f"answers:{output}", limit=LIMIT)
    assert more.code == 4
    assert re.search(r"has no answer to \d+ of \d+ prompts, the first of which is '", more.err)
    less = run_suite(
        tmp_path,
        *("-k", "race-default-weapons and test_category_association"),
        model=f"answers:{output}",
        limit=LIMIT,
    )
    assert less.code in (0, 12)
    for option in ("--noise-floor", "--apply-chat-template"):
        refused = run_suite(tmp_path, *PART, option, model=f"answers:{output}", limit=LIMIT)
        assert refused.code == 4
        assert option in refused.err


def test_batches_of_an_api_go_and_come_back(capsys, tmp_path, monkeypatch, run):
    """Requests with the id of their prompt; answers, filters and failures are told apart."""
    monkeypatch.chdir(ROOT)
    options = ("--format", "openai", "--model", "gpt-x", "--chat")
    prompts = exported(tmp_path, *options)
    requests = lines(tmp_path / "prompts-openai.jsonl")
    texts = {row["custom_id"]: row["body"]["messages"][0]["content"] for row in requests}
    assert requests[0]["url"] == "/v1/chat/completions"
    assert requests[0]["body"]["model"] == "gpt-x"
    given = {row["prompt"]: row["answer"] for row in run["stereotyped"].samples}

    def reply(name, reason="stop", **message):
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
        body = {"choices": [choice], "usage": {"completion_tokens": 9}}
        return {"custom_id": name, "response": {"status_code": 200, "body": body}, "error": None}

    names = [*texts]
    rows = [reply(name, content=given[texts[name]]) for name in names]
    rows[0] = reply(names[0], "content_filter", content=None)
    rows[1] = {"custom_id": names[1], "response": None, "error": {"message": "expired"}}
    output = tmp_path / "imported.jsonl"
    code, out, _ = imported(
        capsys, prompts, as_file(tmp_path / "batch.jsonl", rows), "--output", output
    )
    assert code == 0, out
    assert "1 of them unanswered, 1 of them filtered, without log-probabilities" in out
    judged = run_suite(tmp_path, *PART, model=f"answers:{output}", limit=LIMIT)
    assert judged.code == 10
    assert "1 prompt is unanswered: expired" in judged.out
    readings = {row["reading"] for row in judged.samples}
    assert {"filtered", "unanswered"} < readings


def test_completions_of_a_batch_are_read(capsys, tmp_path, monkeypatch, run):
    """The other endpoint, in two files, such as output and errors."""
    monkeypatch.chdir(ROOT)
    prompts = exported(tmp_path, "--format", "openai", "--model", "local")
    requests = lines(tmp_path / "prompts-openai.jsonl")
    given = {row["prompt"]: row["answer"] for row in run["fair"].samples}
    rows = [
        {
            "custom_id": row["custom_id"],
            "response": {
                "status_code": 200,
                "body": {"choices": [{"text": given[row["body"]["prompt"]]}]},
            },
        }
        for row in requests
    ]
    one = as_file(tmp_path / "one.jsonl", rows[:10])
    other = as_file(tmp_path / "other.jsonl", rows[10:])
    output = tmp_path / "imported.jsonl"
    assert imported(capsys, prompts, one, other, "--output", output)[0] == 0
    judged = run_suite(tmp_path, *PART, model=f"answers:{output}", limit=LIMIT)
    assert judged.code == run["fair"].code


@pytest.mark.slow
def test_samples_of_the_harnesses_are_read(capsys, tmp_path, monkeypatch, run):
    """lm-eval logs answers and log-probabilities in two files; inspect dumps one log."""
    monkeypatch.chdir(ROOT)
    prompts = exported(tmp_path, "--format", "lm-eval")
    docs = lines(tmp_path / "prompts-lm-eval" / "prompts.jsonl")
    rows = {row["id"]: row for row in answered(run["stereotyped"], prompts)}
    written = [{"doc": doc, "resps": [[rows[doc["id"]]["answer"]]]} for doc in docs]
    scored = [
        {"doc": doc, "resps": [[[str(v), "False"]] for v in rows[doc["id"]]["log_probabilities"]]}
        for doc in docs
    ]
    both = (
        as_file(tmp_path / "samples_blindspot_generated.jsonl", written),
        as_file(tmp_path / "samples_blindspot_scored.jsonl", scored),
    )
    output = tmp_path / "imported.jsonl"
    assert imported(capsys, prompts, *both, "--output", output)[0] == 0
    judged = run_suite(tmp_path, *PART, model=f"answers:{output}", limit=LIMIT)
    assert verdicts(judged) == verdicts(run["stereotyped"])
    shutil.rmtree(tmp_path / "prompts-lm-eval")
    prompts = exported(tmp_path, "--format", "inspect")
    samples = [
        {
            "id": doc["id"],
            "input": doc["input"],
            "output": {
                "choices": [
                    {"message": {"content": rows[doc["id"]]["answer"]}, "stop_reason": "stop"}
                ]
            },
        }
        for doc in lines(tmp_path / "prompts-inspect" / "prompts.jsonl")
    ]
    log = tmp_path / "log.json"
    log.write_text(json.dumps({"version": 2, "samples": samples}))
    code, out, _ = imported(capsys, prompts, log, "--output", output)
    assert code == 0
    assert "without log-probabilities" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "openai"), "add --model NAME"),
        (("--format", "csv"), "invalid choice"),
        (("--apply-chat-template",), "use --chat"),
        (("--axis", "nosuch"), "nosuch"),
        (("--nosuchoption",), "nosuchoption"),
        (("tests/mechanistic",), "ask no prompt"),
    ],
)
def test_exports_of_nothing_are_usage_errors(capsys, monkeypatch, tmp_path, words, said):
    """One line, exit code 4, and no file."""
    monkeypatch.chdir(ROOT)
    assert main(["prompts", "export", str(tmp_path / "x.jsonl"), *words]) == 4
    out = capsys.readouterr()
    assert said in out.err
    assert (out.out, len(out.err.splitlines())) == ("", 1)
    assert not (tmp_path / "x.jsonl").exists()
