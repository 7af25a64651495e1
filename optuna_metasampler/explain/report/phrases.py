"""Numbers as people read them, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from optuna_metasampler._text import listed, printable


if TYPE_CHECKING:
    from optuna_metasampler.explain.calibration import Accuracy, Progress
    from optuna_metasampler.explain.improvement_forecast import ImprovementForecast
    from optuna_metasampler.explain.report.data import BestTrial, ParameterPart, PriorPart

_BARS = "▁▂▃▄▅▆▇█"
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_LONGEST_NAME = 60
# Of these the model is sure, or all but sure that the opposite is true.
_SURE, DOUBTFUL, _LOST = 0.9, 0.5, 0.1
_LITTLE_LEFT = 0.1


def number(value: float, digits: int = 4) -> str:
    """A number with so many significant digits, without an exponent where it can do without."""
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not -4 <= size < 7:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent)}"
    text = f"{value:.{max(digits - 1 - size, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share in percent; neither 0 nor 100 where it is not."""
    if math.isnan(share):
        return "unknown"
    if 0 < share < 0.005:
        return "<1 %"
    if 0.995 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"


def value_of(value: Any, digits: int = 4) -> str:
    """A parameter's value: a number, or a choice as Python writes it."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return shortened(repr(value))
    if isinstance(value, Integral):
        return str(int(value))
    return number(float(value), digits)


def shortened(text: str, width: int = _LONGEST_NAME) -> str:
    """A stranger's text on one line, of at most ``width`` characters."""
    # So much at least, for whatever is unprintable only grows.
    text = printable(text[: width + 1])
    return text if len(text) <= width else text[: width - 3] + "..."


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number and what there is of it; small numbers in words."""
    known = _NUMBERS[n] if 0 <= n < len(_NUMBERS) else f"{n:,}"
    return f"{known} {one if n == 1 else many or one + 's'}"


def upper_first(text: str) -> str:
    """A sentence's first letter."""
    return text[:1].upper() + text[1:]


def sparkline(shares: Sequence[float], width: int, top: float) -> str:
    """Numbers from 0 to ``top`` as a row of bars, at most ``width`` of them."""
    bars = []
    for share in thinned(shares, width):
        level = 0.0 if not top > 0 else min(max(share / top, 0.0), 1.0)
        bars.append(_BARS[min(round(level * (len(_BARS) - 1)), len(_BARS) - 1)])
    return "".join(bars)


def thinned(values: Sequence[Any], most: int) -> tuple[Any, ...]:
    """At most so many of the values, evenly spread, the first and the last among them."""
    n = len(values)
    if n <= most:
        return tuple(values)
    if most == 1:
        return (values[-1],)
    return tuple(values[round(i * (n - 1) / (most - 1))] for i in range(most))


def span(values: Sequence[Any]) -> str:
    """Values in a row, by the first and the last."""
    first, last = value_of(values[0], 3), value_of(values[-1], 3)
    return first if first == last else f"{first} to {last}"


def states_told(states: dict[str, int]) -> str:
    """How many trials there are of each state."""
    words = {"complete": "complete", "pruned": "pruned", "fail": "failed"}
    parts = [f"{n:,} {words.get(state, state)}" for state, n in states.items() if n]
    return ", ".join(parts) or "none"


_PHASES = {
    "start-up": "to fill the space",
    "opening": "the best of prior studies",
    "contrast": "apart from these",
    "model": "by the model",
    "policy": "by the method",
    "enqueued": "enqueued",
    "independent": "at random",
}


def phase_told(phase: str) -> str:
    """How a trial was chosen."""
    return _PHASES.get(phase, shortened(phase, 20))


def phases_told(phases: dict[str, int]) -> str:
    """How many trials were chosen in each way."""
    known = {p: n for p, n in phases.items() if p in _PHASES}
    parts = [f"{n:,} {phase_told(p)}" for p, n in known.items()]
    rest = sum(phases.values()) - sum(known.values())
    return ", ".join([*parts, *([f"{rest:,} otherwise"] if rest else [])])


def params_told(trial: BestTrial, most: int = 12) -> str:
    """The parameters of a trial."""
    pairs = [f"{shortened(k, 30)}={value_of(v)}" for k, v in trial.params.items()]
    return listed(pairs, most) or "no parameter"


def best_told(best: Sequence[BestTrial], directions: Sequence[str]) -> str:
    """What the best trial is, or how many there are."""
    if not best:
        return "No trial has come to a value yet, or none that keeps the constraints."
    if len(directions) == 1:
        return f"The best value is {number(best[0].values[0])}, of trial {best[0].number}."
    return f"{upper_first(counted(len(best), 'trial is', 'trials are'))} on the Pareto front."


def say_told(probability: float, priors: Sequence[PriorPart], now: bool) -> str:
    """How much say the prior studies have."""
    chance = percent(probability)
    used = [p for p in priors if p.weight is not None]
    one = len(used) == 1
    who, have = ("The prior study", "has") if one else ("The prior studies", "have")
    when = "" if now else " at the last suggestion"
    use = f"{when}: {'it is' if one else 'they are'} of use with a probability of {chance}."
    if probability < _LOST:
        return f"{who} {have} lost {'its' if one else 'their'} say{use}"
    strongest = ""
    if used and not any(p.weight for p in used):
        strongest = (
            f" {'It does not agree' if one else 'None of them agrees'} with the order of this "
            "study's trials."
        )
    elif not one and used and used[0].weight:
        strongest = (
            f" The largest share of it is that of {shortened(used[0].name)} "
            f"({percent(used[0].weight)})."
        )
    if probability < DOUBTFUL:
        return f"{who} {have} little say left{use}{strongest}"
    strength = "the say" if probability >= _SURE else "some say"
    return f"{who} {have} {strength}{use}{strongest}"


def progress_told(progress: Progress) -> str:
    """How far the study has come, and how much of that came with its opening."""
    average, best = number(progress.average), number(progress.best)
    if progress.opening is None or not progress.n_opening:
        return f"An average configuration comes to {average}, the best trial to {best}."
    trials = counted(progress.n_opening, "trial")
    if progress.share is None:
        return (
            f"The opening, {trials} by the prior studies, brought nothing better than an average "
            f"configuration ({average}), and nothing has since."
        )
    only = "only " if progress.share < 0.25 else ""
    return (
        f"The opening, {trials} by the prior studies, came {only}{percent(progress.share)} of "
        f"the way from an average configuration ({average}) to the best value so far ({best})."
    )


def forecasts_told(accuracy: Accuracy) -> str:
    """How good the forecasts were."""
    n = accuracy.n_trials
    if n == 0:
        return "No trial keeps a forecast that its outcome could be compared with."
    inside = round(accuracy.coverage * n)
    told = (
        f"{inside:,} of {counted(n, 'outcome')} came out within the interval that should hold 80 %"
    )
    if accuracy.coverage_high < 0.8:
        told += ": the forecasts were too sure of themselves"
    elif accuracy.coverage_low > 0.8:
        told += ": the forecasts were too cautious"
    rho = accuracy.rank_correlation
    if n < 3 or math.isnan(rho):
        return told + "."
    if rho > 0.3:
        order = "they told better trials from worse ones"
    elif rho > -0.3:
        order = "they hardly told better trials from worse ones"
    else:
        order = "they held better trials for worse ones"
    return f"{told}; {order} (rank correlation {number(rho, 2)})."


def importance_told(parameters: Sequence[ParameterPart]) -> str | None:
    """Which parameters matter most."""
    mattering = [p for p in parameters if p.importance >= 0.01]
    if not mattering:
        return None
    first, *others = mattering[:3]
    told = f"{shortened(first.name)} matters most ({percent(first.importance)} of the variation)"
    if first.clear:
        told += f", {first.learned.partition(';')[0].partition(':')[0]}"
    if others:
        told += "; then " + ", ".join(
            f"{shortened(p.name)} ({percent(p.importance)})" for p in others
        )
    return told + "."


def outlook_told(improvement_forecast: ImprovementForecast) -> str:
    """What more trials are likely to bring, and whether they are worth it."""
    trials = upper_first(counted(improvement_forecast.n_trials, "more trial"))
    best = number(improvement_forecast.best)
    chance = percent(improvement_forecast.probability)
    if improvement_forecast.gain <= 0:
        return f"{trials} are not expected to improve {best}: the study may be done."
    gain, low, high = (
        number(v, 2)
        for v in (improvement_forecast.gain, improvement_forecast.low, improvement_forecast.high)
    )
    told = f"{trials} are expected to improve {best} by {gain} ({low} to {high} with 80 %)"
    if improvement_forecast.gain > improvement_forecast.high:
        # A small chance of much.
        told = f"{trials} are likely to improve {best} by {high} at most, by {gain} on the average"
    told += f"; the probability of any improvement is {chance}."
    if improvement_forecast.probability < _LITTLE_LEFT:
        told += " Little is left to gain: it may be time to stop."
    return told
