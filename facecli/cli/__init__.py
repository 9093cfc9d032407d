"""The command line: arguments, streams and exit codes. A module a command or group of commands.

`app` names the commands, `options` holds what several share. A command parses, calls one verb of
the library, and prints one report; a module is imported when its command is called, and heavy
modules inside its body, so that `--help` is instant. May import every room; no other room may
import this one. It must never know how an answer is found, nor how one is written as text:
that is `gallery` and `report`.
"""


def main() -> None:
    """The program `facecli`, and `python -m facecli`. Never returns: it exits with a code."""
    try:
        from facecli.cli.app import run

        run()
    except KeyboardInterrupt:  # while modules are imported: later, each command ends by itself
        raise SystemExit(130) from None
