import io

from rich.console import Console

from vitcli.ablation.progress import Progress


def drawn(progress: Progress) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(progress.draw())
    return out.getvalue()


def make(**arguments) -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    return Progress(
        Console(file=out, width=100), {"relu6": 10, "h_swish": 10}, seeds={"relu6": 3, "h_swish": 3}, workers=2
    ), out


def test_the_view_counts_what_is_done_running_and_failed():
    progress, _ = make()
    progress.skip("relu6", 0, "done")
    progress.start("relu6", 1)
    progress.advance("relu6", 1, 4)
    progress.start("h_swish", 0)
    progress.finish("h_swish", 0, "failed", "failed: ValueError: no")
    header, relu6, h_swish, left = drawn(progress).splitlines()
    assert header.split() == ["arm", "trials", "done", "running", "failed"]
    assert relu6.split() == ["relu6", "●", "▸", "·", "1", "40", "%"]
    assert h_swish.split() == ["h_swish", "✗", "·", "·", "0", "1"]
    assert left.strip() == "time left: known after the first trial"


def test_the_time_left_is_the_mean_trial_times_what_waits_over_the_workers():
    progress, _ = make()
    progress.start("relu6", 0)
    progress.finish("relu6", 0, "done", "test/acc1 0.9")
    progress.durations = [60.0]
    assert progress.seconds_left() == 5 * 60 / 2
    assert "about 2.5 min" in drawn(progress)


def test_on_no_terminal_each_finished_trial_is_one_line():
    progress, out = make()
    with progress:
        progress.start("relu6", 0)
        progress.finish("relu6", 0, "done", "test/acc1 0.9000")
    assert out.getvalue() == "[1/6] relu6 seed 0: test/acc1 0.9000 (0 s)\n"
