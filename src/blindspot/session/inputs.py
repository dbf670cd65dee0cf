"""What a run reads: stimuli, limits, models and baselines, each when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from blindspot.errors import ModelError
from blindspot.paths import BASELINES, FIXTURES
from blindspot.session.options import Options

if TYPE_CHECKING:
    from blindspot.baselines import Baseline
    from blindspot.gates.limits import GateTable
    from blindspot.measurements.mechanistic import Assay
    from blindspot.mitigation.held_out import Known
    from blindspot.models.base import LanguageModel
    from blindspot.models.options import Scaled
    from blindspot.run.cases import Case
    from blindspot.run.source import PromptSource
    from blindspot.stimuli import Selection, Stimuli


#: What a model of another engine lacks that each change needs.
_NEEDED = {"adapter": "weights to merge it into", "steer": "residual stream to write to"}


class Inputs:
    """The inputs of a run; whoever reads one twice gets the same.

    Args:
        options: what the user asked for.
        root: of the project, in which baselines lie.
        given: a model that a plugin gives by its name, None where none does.
        opened: called with each model before it is used.
    """

    def __init__(
        self,
        options: Options,
        root: Path,
        given: Callable[[str], LanguageModel | None],
        opened: Callable[[LanguageModel], None] = lambda _: None,
    ) -> None:
        self.options = options
        self._root = root
        self._given, self._opened = given, opened

    # --- stimuli and limits

    @cached_property
    def selection(self) -> Selection:
        """Which prompts of the stimuli are asked."""
        from blindspot.stimuli import Selection

        options = self.options
        return Selection.of(options.limit, options.words, options.fraction)

    def narrow(self, fraction: Fraction) -> None:
        """Ask only a fraction of the prompts."""
        self.selection = replace(self.selection, fraction=fraction)
        for name in ("source", "assays"):
            self.__dict__.pop(name, None)

    @cached_property
    def source(self) -> PromptSource:
        """The source of the prompts."""
        options = self.options
        if options.prompts_from is not None:
            from blindspot.contrib.aligned_but_blind.source import PublishedPrompts

            return PublishedPrompts.read(options.prompts_from, options.limit)
        from blindspot.run.source import FixturePrompts
        from blindspot.stimuli.examples import Examples

        stimuli = self._loaded
        if self.held_out.axes:
            stimuli = replace(stimuli, held_out=dict(self.held_out.axes))
        examples = Examples(stimuli, options.num_fewshot or 0, options.seed)
        return FixturePrompts(stimuli, self.selection, examples)

    @cached_property
    def _loaded(self) -> Stimuli:
        """The fixtures as they were read."""
        from blindspot.stimuli import load_stimuli

        return load_stimuli(self.options.include_path, axes=self.options.axes)

    @cached_property
    def held_out(self) -> Known:
        """What the model under test was not trained on."""
        from blindspot.mitigation.held_out import held_out_of

        changes = self.options.changes.values()
        return held_out_of(next((one.path for one in changes), None), self._loaded)

    @property
    def skipped(self) -> list[str]:
        """What of the published prompts could not be read."""
        return [f"--prompts-from: skipped {each}" for each in getattr(self.source, "skipped", ())]

    @property
    def stimuli(self) -> Stimuli | None:
        """The fixtures; None for published prompts."""
        from blindspot.run.source import FixturePrompts

        return self.source.stimuli if isinstance(self.source, FixturePrompts) else None

    @cached_property
    def gates(self) -> GateTable:
        """The limits."""
        from blindspot.gates.limits import load_gates
        from blindspot.stimuli import shipped_axes

        table = load_gates(self.options.gates or FIXTURES / "gates.toml")
        if self.stimuli is not None:
            table.check_names(self.stimuli.axes, shipped_axes())
        return table

    @cached_property
    def assays(self) -> dict[str, Assay]:
        """The assays, by measurement."""
        from blindspot.measurements.mechanistic import AssayOptions
        from blindspot.measurements.registry import assays_of

        if self.stimuli is None:
            return {}
        options = AssayOptions(window=self.options.window, seed=self.options.seed)
        return assays_of(self.stimuli, self.selection, options)

    # --- models

    @cached_property
    def model(self) -> LanguageModel:
        """The candidate; its weights are loaded on first use."""
        return self._named(self.options.model, **self.options.changes)

    @cached_property
    def reference(self) -> LanguageModel | None:
        """The reference, loaded like the candidate."""
        name = self.options.reference
        return None if name is None else self._named(name, reference=True)

    def _named(self, name: str, *, reference: bool = False, **changes: Scaled) -> LanguageModel:
        """A model; ``changes``: what the options of that name change in it.

        Raises:
            ModelError: it cannot be changed: its weights are not loaded here.
        """
        from blindspot.models.options import ModelOptions, parse_model_args
        from blindspot.models.registry import arguments_of, open_model
        from blindspot.models.replicas.model import RayModel
        from blindspot.models.transformers.deferred import DeferredModel

        options = self.options
        given = self._given(name)
        other = options.model if reference else options.reference
        arguments = parse_model_args(options.model_args)
        opened = (
            given
            if given is not None
            else open_model(
                ModelOptions(
                    name=name,
                    revision=options.revision if name == options.model else None,
                    dtype=options.dtype,
                    device=options.device,
                    batch_size=options.batch_size,
                    batch_invariant=options.batch_invariant,
                    apply_chat_template=options.apply_chat_template,
                    seed=options.seed,
                    trust_remote_code=options.trust_remote_code,
                    model_args=arguments_of(
                        name, arguments, reference=reference, beside=other or ""
                    ),
                    **changes,
                )
            )
        )
        if changes and not isinstance(opened, (DeferredModel, RayModel)):
            flag = next(iter(changes))
            raise ModelError(
                f"--{flag}: {name} is answered by another engine, which offers no {_NEEDED[flag]}; "
                f"omit --{flag}, or name the files of the model"
            )
        self._opened(opened)
        return opened

    def check_differ(self) -> None:
        """Refuse a reference that is the candidate, or may be: every change would be exactly 0.

        Raises:
            ModelError: names both.
        """
        from blindspot.models.base import UNKNOWN, IsServed
        from blindspot.models.replicas.model import RayModel
        from blindspot.models.transformers.deferred import DeferredModel

        options, one, other = self.options, self.model, self.reference
        same = options.reference == options.candidate
        if isinstance(one, DeferredModel) and isinstance(other, DeferredModel):
            same = one.equals(other)
        elif isinstance(one, IsServed) and isinstance(other, IsServed):
            same = one.identity.fingerprint() == other.identity.fingerprint()
        elif other is not None and (isinstance(one, RayModel) or isinstance(other, RayModel)):
            same = one.identity.weights == other.identity.weights
        if same:
            raise ModelError(
                f"--reference {options.reference} has the same weights as {options.candidate}: "
                "a comparison would pass and say nothing; was its adapter merged, or the wrong "
                "checkpoint named?"
            )
        for model in () if other is None or "weights" in options.allow_mismatch else (one, other):
            if isinstance(model, IsServed) and model.identity.weights.startswith(UNKNOWN):
                raise ModelError(
                    f"--reference {options.reference}: it may be {options.candidate} itself, "
                    f"because the weights of {model.identity.name} are unknown; name those of both "
                    "with weights=DIR and reference_weights=DIR, or add --allow-mismatch weights"
                )

    def lacks(self, case: Case) -> str:
        """Why the models of this run do not offer a gate; "" if they do."""
        from blindspot.measurements.base import FORCED_CHOICE
        from blindspot.models.base import offers

        ability, what = "", ""
        if case.mechanistic:
            ability, what = "residual", "access to its residual stream"
        elif case.reading == FORCED_CHOICE:
            ability, what = "score", "log-probabilities"
        for model in (self.model, self.reference) if ability else ():
            if model is not None and not offers(model, ability):
                name = self.options.model if model is self.model else self.options.reference
                return f"{name} does not offer {what}"
        return ""

    # --- baselines

    @cached_property
    def baseline_directory(self) -> Path:
        """The directory of accepted baselines."""
        return self.options.baselines or self._root / BASELINES

    @cached_property
    def baseline_path(self) -> Path:
        """The file that this run is compared with."""
        return self._located(self.options.baseline)

    @cached_property
    def own_baseline_path(self) -> Path:
        """The file that ``--snapshot-update`` writes: always that of the model under test."""
        return self._located(None)

    def _located(self, named: str | None) -> Path:
        from blindspot.baselines import locate

        return locate(named, self.options.candidate, self.baseline_directory)

    @cached_property
    def baseline(self) -> Baseline | None:
        """The accepted baseline, None when there is none."""
        return _accepted(self.baseline_path)

    @cached_property
    def own_baseline(self) -> Baseline | None:
        """The accepted baseline of the model under test itself."""
        return _accepted(self.own_baseline_path)

    @property
    def provenance(self) -> dict[str, str]:
        """The conditions of this run, as a baseline records them."""
        from blindspot.baselines.comparison import EXAMPLES, provenance

        found = provenance(self.model.identity, self.source.conditions)
        if count := self.options.num_fewshot:
            found[EXAMPLES] = f"{count} of seed {self.options.seed}"
        return found


def _accepted(path: Path) -> Baseline | None:
    """The baseline in a file; a folder or a broken link in its place is an error."""
    from blindspot.baselines import load_baseline

    return load_baseline(path) if path.exists() or path.is_symlink() else None
