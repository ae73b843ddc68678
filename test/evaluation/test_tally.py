"""What a world counts, followed through a trial."""

from ddpm_controller.evaluation.results import TallyWatch

NAN = float("nan")


def test_a_rise_of_a_count_is_noted_with_its_moment():
    watch = TallyWatch()
    for stamp_s, strikes in ((0.0, 0.0), (0.1, 1.0), (0.2, 1.0), (0.3, 2.0)):
        watch.note(stamp_s, {"strikes": strikes, "wanted": 3.0})
    assert watch.rises == [(0.1, "strikes"), (0.3, "strikes")]
    assert watch.latest == {"strikes": 2.0, "wanted": 3.0}


def test_what_is_no_count_does_not_rise():
    """A mean becomes known, changes, and may by chance be a whole number."""
    watch = TallyWatch()
    for stamp_s, period_s in ((0.0, NAN), (0.1, 0.5), (0.2, 1.0), (0.3, 0.9)):
        watch.note(stamp_s, {"period_s": period_s})
    assert watch.rises == []


def test_what_was_there_at_the_start_has_not_risen():
    watch = TallyWatch()
    watch.note(0.0, {"strikes": 4.0})
    assert watch.rises == []
