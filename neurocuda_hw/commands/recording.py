"""``nchw inspect RECORDING``: what a recording of events holds."""

from __future__ import annotations

from neurocuda_hw.commands.console import plot_kind, print_json, say
from neurocuda_hw.commands.stimuli import Cut, tell


def recorded(path: str) -> bool:
    """Whether a file is a recording of events."""
    from neurocuda_hw.data.recordings import is_recording

    return is_recording(path)


def show_recording(path: str, cut: Cut, plot: str | None, as_json: bool) -> None:
    """Rate over time and the frame: in the terminal, as JSON, and as a figure in a file."""
    from neurocuda_hw.data.events import Tally
    from neurocuda_hw.data.recordings import stream_events
    from neurocuda_hw.data.survey import survey

    kind = None if plot is None else plot_kind(plot)
    tally = Tally()
    found = survey(stream_events(path, tally), tally, step_us=cut.step_us, grid=cut.grid)
    if plot is not None and kind is not None:
        from neurocuda_hw.ground.files import write_file
        from neurocuda_hw.report.recording import recording_figure
        from neurocuda_hw.report.style import figure_bytes

        write_file(plot, figure_bytes(recording_figure(found), kind))
    tally.counted = found.events - sum(tally.left_out.values())
    if as_json:
        print_json({"recording": path} | found.as_plain())
        return
    from neurocuda_hw.report.recording import frame_text, rate_text

    tell((), tally)
    say(f"{path}: {found.events:,} events, {found.first:,} to {found.last:,} µs")
    if not found.events:
        return
    height, width = found.frame.shape[1:]
    share = found.frame[1].sum() / max(1, found.frame.sum())
    say(f"pixels heard: {width} x {height}; brighter: {share:.1%}")
    for line in frame_text(found):
        say(line)
    counts = found.rate.sum(axis=1)
    say(rate_text(found))
    say(
        f"{len(counts):,} steps of {found.step_us:,} µs from {found.start:,} µs: mean "
        f"{counts.mean():,.1f} events, most {counts.max():,}"
    )
