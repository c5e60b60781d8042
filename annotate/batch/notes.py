"""What the user should know about a batch that was chosen."""

from collections import Counter
from collections.abc import Sequence

from annotate.batch.quotas import Choice
from annotate.batch.request import Request
from annotate.batch.snapshot import BatchRules, PoolSnapshot
from annotate.protocols import QueryStrategy
from annotate.types import Form, Modality, Requirement
from annotate.wording import counted, either


def fallback_note(strategy: str, requirement: str, cold_start: str) -> str:
    """Why the cold start was used instead of a strategy."""
    return f"{strategy} needs {requirement}; {cold_start} was used"


def batch_notes(
    snapshot: PoolSnapshot, request: Request, asking: Request, strategy: QueryStrategy,
    chosen: Sequence[Choice], left: int,
) -> list[str]:  # fmt: skip
    """One sentence for each remark; `asking` is the request as it was carried out by `strategy`, and `left`
    is the number of samples that remain for later batches."""
    again = _asked_again(snapshot, asking, chosen) if Requirement.VOTES in strategy.needs else []
    return [*again, *_partial(snapshot.rules, chosen), *_too_few(request, chosen, left)]


def _asked_again(snapshot: PoolSnapshot, asking: Request, chosen: Sequence[Choice]) -> list[str]:
    """How many questions are asked again, or why none is."""
    if not asking.whole:
        return ["single questions are never asked again; with --whole-samples they are"]
    count = sum(len(choice.candidate.again) for choice in chosen)
    if count:
        return [f"{count} question{'s are' if count > 1 else ' is'} asked again"]
    raters, most = snapshot.rules.raters, snapshot.rules.most_raters
    if raters >= most and not any(c.again for c in snapshot.candidates):
        return [
            f"nothing is asked again: each question goes to {raters} people at once (protocol.raters), and "
            f"{counted(most, 'answer')} {either(most, 'is', 'are')} enough (batch.most_raters)"
        ]
    return []


def _partial(rules: BatchRules, chosen: Sequence[Choice]) -> list[str]:
    """How many questions ask about some dimensions only, and that their raters may know the whole already."""
    partial = [choice.candidate for choice in chosen if choice.candidate.partial]
    if not partial:
        return []
    forms = Counter(Form.about(m, c.partial[m]) for c in partial for m in c.passes if m in c.partial)
    asked = ", ".join(f"{form.words}: {count}" for form, count in sorted(forms.items()))
    notes = [f"questions about samples whose other dimensions were judged before: {asked}"]
    has_blind = any(form.modality is not Modality.MULTIMODAL for form in forms)
    if has_blind and Modality.MULTIMODAL in rules.passes:
        notes.append(
            "who judged the multimodal pass of these samples before knows the whole and cannot judge a part "
            "blindly: leave the other passes to other raters"
        )
    return notes


def _too_few(request: Request, chosen: Sequence[Choice], left: int) -> list[str]:
    """A note when less was left than requested."""
    count = len(chosen) if request.whole else sum(len(c.candidate.passes) for c in chosen)
    if request.n is None or count >= request.n or (left and not request.whole):
        return []
    unit = "sample" if request.whole else "question"
    return [
        f"{counted(request.n, unit)} {either(request.n, 'was', 'were')} wanted, "
        f"{count} {either(count, 'was', 'were')} left"
    ]
