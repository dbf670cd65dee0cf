"""What a patched or injected workload cannot do without: its operations.

A patch at layer l and token p of a question of T tokens needs, beside the question itself, which is
run once: nothing of the blocks up to l, and nothing of the tokens before p; in block l + 1 only the
written token's projections (the others' are known), in the last block only keys and values of the
tokens and the rest of the last one; one answer. At the last layer with p < T - 1 it needs nothing.
"""

from __future__ import annotations

from benchmarks.harness.operations import Operations
from benchmarks.residual.work import Job, Work


class SweepOperations(Operations):
    """Counts what a workload needs."""

    def plain(self, work: Work) -> int:
        """Of (a): every token of every prompt through everything, for each generated token."""
        return sum(
            self.span(0, len(job.tokens) + step) * self.layers
            + (len(job.tokens) + step) * self.answer
            for job in work.jobs
            for step in range(max(1, work.new))
        )

    def needed(self, work: Work) -> int:
        """The least that gives the same numbers, prompt by prompt and patch by patch."""
        prompts = {job.tokens for job in work.jobs}
        total = sum(self.span(0, len(prompt)) * self.layers for prompt in prompts)
        return total + sum(self._patch(job) + self._further(job, work.new) for job in work.jobs)

    def _patch(self, job: Job) -> int:
        length, layer = len(job.tokens), job.window[0]
        place = min(position for position, _ in job.places)
        tokens, blocks = length - place, self.layers - 1 - layer
        if blocks == 0:
            return self.answer if tokens == 1 else 0
        one = self.query + self.rest + self.key * length
        last = tokens * self.keys + one
        if blocks == 1:
            return len(job.places) * self.keys + one + self.answer
        known = (tokens - len(job.places)) * (self.query + self.keys)
        return self.span(place, length) * (blocks - 1) - known + last + self.answer

    def _further(self, job: Job, new: int) -> int:
        """Of the generated tokens after the first."""
        return sum(
            self.span(at, at + 1) * self.layers + self.answer
            for at in range(len(job.tokens), len(job.tokens) + new - 1)
        )
