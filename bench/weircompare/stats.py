"""Medians, spreads and ratios of repeated measurements."""

import math
import statistics

# What is closer than this is equal, however quiet the repetitions were: the
# speed of a machine drifts by as much between two of them.
NOISE_FLOOR = 0.05
# What scatters by more than this says nothing of what is equal.
NOISE_LIMIT = 0.25
# Repetitions that say more than chance does, where all say the same.
MANY = 5


def median(values):
    return statistics.median(values)


def spread(values):
    """Half the distance from the least to the greatest, as a share of the
    median; 0 of a single value."""
    middle = median(values)
    if len(values) < 2 or middle == 0:
        return 0.0
    return (max(values) - min(values)) / 2 / abs(middle)


def summary(values):
    """What a table shows of one quantity's repetitions."""
    return {"median": median(values), "least": min(values),
            "greatest": max(values), "count": len(values)}


def paired_ratios(above, below):
    """above / below within each repetition that has both.

    above, below: {repetition: value}.  A ratio to nothing is left out.
    """
    return [above[key] / below[key] for key in sorted(above)
            if key in below and below[key] != 0]


def scatter(ratios):
    """How far the median of repeated ratios may be off, as a share of it.

    Of five, twice the median distance, so that one repetition that was
    disturbed does not count; of more the less by the root of their number, as
    for any median; of few ratios, of which nobody can tell which one was
    disturbed, as spread().
    """
    middle = median(ratios)
    if middle == 0:
        return NOISE_FLOOR
    if len(ratios) < MANY:
        return max(NOISE_FLOOR, spread(ratios))
    distances = [abs(ratio - middle) for ratio in ratios]
    return max(NOISE_FLOOR, 2 * median(distances) / abs(middle)
               * math.sqrt(MANY / len(ratios)))


def noise(*samples):
    """The share by which medians of these may differ and still be equal."""
    return max([NOISE_FLOOR] + [spread(values) for values in samples])
