"""``vitcli dashboard DIR``: refresh the TensorBoard view of one ablation or of several, and serve it on this machine."""

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from vitcli.config.command_line import COMMAND_LINE, refuse_options, take_option
from vitcli.config.errors import ConfigError
from vitcli.records.ablation import ABLATION, load
from vitcli.records.json_files import RecordError
from vitcli.report import EVENT_FILES, summarise, write_collection_view, write_summary_view

HOST = "127.0.0.1"
LAST_PORT = 65_535
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A web application as WSGI (PEP 3333) defines it."""

START = "?runFilter=mean%2F&tagFilter=%5Eval%2F&smoothing=0"
"""Where TensorBoard's bare address leads: one curve per arm, and not those of all trials and of the costs."""

VIEWS = {
    "means over the seeds": f"{START}#timeseries",
    "... with intervals": "#custom_scalars",
    "one row per arm": "#hparams",
    "the figures": "#images",
    "the report": "#text",
}


def main(argv: Sequence[str]) -> int:
    """Serve until Ctrl-C.

    Args:
        argv: Words after ``vitcli dashboard``: an ablation (runs/NAME), a run, or a directory of them (runs), and ``--port N``.

    Returns:
        Exit code: 0 after Ctrl-C.

    Raises:
        ConfigError: There is nothing to serve, or no port to serve it on.
    """
    words = list(argv)
    port = _port(take_option(words, "--port"))
    refuse_options("dashboard", words, ("--port",))
    if len(words) != 1:
        raise ConfigError(
            f"{COMMAND_LINE}: dashboard needs one directory, for example vitcli dashboard runs/localvit_act."
        )
    directory = Path(words[0])
    try:
        kind = refresh(directory)
        address = serve(directory, port, START if kind == "ablation" else "")
        print(f"TensorBoard shows {directory} at {address} until Ctrl-C.")
        for what, where in VIEWS.items() if kind == "ablation" else ():
            print(f"  {what:22}{address}{where}")
        sys.stdout.flush()
        threading.Event().wait()
    except RecordError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"{error.filename or directory}: {error.strerror}.") from error
    except KeyboardInterrupt:
        pass
    return 0


def _port(text: str | None) -> int | None:
    """Return the port that a word names, or None.

    Raises:
        ConfigError: It names none.
    """
    if text is not None and not (text.isascii() and text.isdigit() and int(text) <= LAST_PORT):
        raise ConfigError(f"{COMMAND_LINE}: --port is {text!r}; expected a number from 0 to {LAST_PORT:,}.")
    return None if text is None else int(text)


def refresh(directory: Path) -> Literal["ablation", "run"]:
    """Write the TensorBoard view of the ablation in ``directory``, or of all ablations one or two levels below it.

    A single run needs no view and is left as it is.

    Returns:
        Whether the directory holds ablations or a single run.

    Raises:
        RecordError: The directory holds neither an ablation nor a run, or an ablation that cannot be read.
    """
    if (directory / ABLATION).exists():
        ablation = load(directory)
        write_summary_view(ablation, summarise(ablation))
        return "ablation"
    below = sorted(path.parent for pattern in ("*", "*/*") for path in directory.glob(f"{pattern}/{ABLATION}"))
    if below:
        write_collection_view(directory, [load(one) for one in below])
        return "ablation"
    if not any(directory.rglob(EVENT_FILES)):
        raise RecordError(
            f"{directory}: neither an ablation ({ABLATION}) nor a run (TensorBoard event files) is in it; "
            "give a directory that vitcli fit wrote, for example runs/<name>."
        )
    return "run"


def serve(directory: Path, port: int | None, start: str) -> str:
    """Start TensorBoard in a background thread and return its address.

    Args:
        directory: What is shown.
        port: The port; None for the usual one, or the next that is free.
        start: Where the address without anything behind it leads; empty for TensorBoard's own choice.

    Raises:
        RecordError: The port is taken.
    """
    from tensorboard import program

    def server(application: Application, flags: Any) -> Any:
        """Return TensorBoard's own server, with another first page."""
        shown = _with_start(application, start) if start else application
        return program.create_port_scanning_werkzeug_server(shown, flags)

    board = program.TensorBoard(server_class=server)
    board.configure(logdir=str(directory), host=HOST, port=port)
    # TensorBoard recommends its --bind_all on stderr at every start; that advice does not apply to this command.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return str(board.launch())
        except program.TensorBoardServerException as error:
            raise RecordError(f"{HOST}:{port}: {error.msg}; leave --port out to take a free one.") from None


def _with_start(application: Application, start: str) -> Application:
    """Return a web application that sends a browser which asks for ``/`` alone on to ``/`` with ``start`` behind it.

    What follows ``#`` in an address, the name of a tab, the browser keeps.
    """

    def answer(environment: dict[str, Any], begin: Callable[..., Any]) -> Iterable[bytes]:
        if environment.get("PATH_INFO", "") in ("", "/") and not environment.get("QUERY_STRING"):
            begin("302 Found", [("Location", f"/{start}"), ("Content-Length", "0")])
            return []
        return application(environment, begin)

    return answer
