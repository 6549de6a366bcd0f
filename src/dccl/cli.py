"""The command line: arguments, help and exit codes. Every import of weight is inside its command."""

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from dccl.wire.errors import DcclError
    from dccl.wire.results import RunRecord

_INTERRUPTED = 130
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG}

_EPILOG = "\n".join(
    (
        "Exit codes:",
        "  0  done",
        "  1  another error that you can act on",
        "  2  a key, value or option is wrong",
        "  3  the log is missing, malformed, empty or not the one expected",
        "  4  saved state is damaged or belongs to something else",
        "  5  a file could not be written: disk full, no permission",
        "130  stopped by ctrl-C; the same command goes on from there",
    )
)


class _Commands(TyperGroup):
    """Turns what a user can act on into one message and an exit code; a defect keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  (typer's context moved between its versions)
        from dccl.wire.errors import DcclError

        try:
            return super().invoke(ctx)
        except DcclError as error:
            _refuse(error)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            _refuse(_storage_error(error))
        except KeyboardInterrupt:
            typer.echo("\nstopped; the same command goes on from here", err=True)
            raise typer.Exit(_INTERRUPTED) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=_EPILOG,
    help="Device-cloud collaborative learning for recommendation: personal models of a few hundred bytes.",
)
data_app = typer.Typer(no_args_is_help=True, help="Look at a log, or download a public one.")
app.add_typer(data_app, name="data")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the configuration; may be repeated."),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="YAML or JSON; a run's config.json too.")
]


def main() -> None:
    """Entry point of the `dccl` command."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        from dccl import __version__

        typer.echo(f"dccl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: dccl run --data events.csv --set data.time=order --seeds 3 --out runs/mine")
def run(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the run; one that was begun goes on.")],
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The log; without it the built-in world.")
    ] = None,
    config: ConfigFile = None,
    changes: Changes = None,
    rounds: Annotated[int | None, typer.Option(metavar="R", help="Rounds of devices and cloud.")] = None,
    seeds: Annotated[int | None, typer.Option(metavar="S", help="Repeat with so many seeds.")] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="CPU threads; without it all cores.")
    ] = None,
    json: Json = False,
) -> None:
    """Do the whole loop on a log: train in the cloud, personalise on devices, distil back, report.

    Writes config.json, environment.json, metrics.json and report.html into DIR.
    Stopped anywhere, the same command goes on from there.
    A finished run may be given more --rounds or --seeds.
    `dccl config` prints all keys that --set and --config take.
    """
    import os

    # Before torch is imported: its threads spin while they wait, and beside another busy process that made two
    # threads nine times slower than one on a machine of two cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from dccl.job.config import load_config
    from dccl.job.console import watching
    from dccl.job.run import run as run_job

    counts = {"rounds": rounds, "seeds": seeds}
    given = [f"{key}={number}" for key, number in counts.items() if number is not None]
    resolved = load_config(config, [*(changes or []), *given], data)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    with watching() as watcher:
        record = run_job(resolved, out, watcher.progress, watcher.told)
    _show(record, out, json)


def _show(record: "RunRecord", out: Path, json: bool) -> None:
    import sys

    from dccl.job.console import as_json, show_results

    report, metrics = out / "report.html", out / "metrics.json"
    if json:
        sys.stdout.write(as_json(record, report, metrics).decode())
    else:
        show_results(record, report, metrics)


@data_app.command("info", epilog="Example: dccl data info ratings.csv --set data.time=order")
def data_info(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file, or a folder that holds one log.")],
    json: Json = False,
    changes: Changes = None,
) -> None:
    """Print what is in a log: users, items, events, quantiles, time span, features, bad rows."""
    from dccl.data.config import DataConfig
    from dccl.data.info import run_info
    from dccl.job.keys import read_section

    run_info(read_section("data", DataConfig, changes or [], {"data.path": path}), as_json=json)


@data_app.command("get", epilog="Example: dccl data get ml-100k --to data")
def data_get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="ml-100k, ml-1m, ml-25m or amazon-books-2014.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="The set becomes a folder in here.")] = Path("data"),
) -> None:
    """Download a public data set from its publisher, after showing its terms; its checksum is verified."""
    from dccl.data.download import get

    folder = get(name, to)
    typer.echo(f"{folder}\nNext: dccl run --data {folder} --out runs/{name}")


@app.command(
    epilog="Example: dccl config > mine.yaml, change it, then dccl run --config mine.yaml --out runs/mine"
)
def config(file: ConfigFile = None, changes: Changes = None, json: Json = False) -> None:
    """Print every key of the configuration with its value (the default, unless changed) and its meaning."""
    import msgspec

    from dccl.job.config import load_config
    from dccl.job.listing import listed

    resolved = load_config(file, changes or [])
    text = msgspec.json.format(msgspec.json.encode(resolved), indent=2).decode() + "\n"
    typer.echo(text if json else listed(resolved), nl=False)


@app.command(epilog="Example: dccl report runs/demo --out demo.html")
def report(
    source: Annotated[
        Path, typer.Argument(metavar="DIR_OR_METRICS", help="Folder of a run, or its metrics.json.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Without it report.html beside metrics.json.")
    ] = None,
) -> None:
    """Make report.html from metrics.json again; needs no torch, no log and no other file of the run."""
    from dccl.report.page import write_report
    from dccl.report.record import load_record
    from dccl.wire.files import read_json

    metrics = source / "metrics.json" if source.is_dir() else source
    record = load_record(metrics)
    environment = metrics.parent / "environment.json"
    target = out or metrics.parent / "report.html"
    write_report(record, read_json(environment) if environment.exists() else {}, target)
    typer.echo(f"report: {target}")


def _storage_error(error: OSError) -> "DcclError":
    from dccl.wire.errors import StorageError

    where = error.filename or "a file"
    return StorageError(
        f"cannot write {where}: {error.strerror or error}. Free some space or choose another folder, then run the same "
        "command again"
    )


def _refuse(error: "DcclError") -> None:
    from rich.console import Console

    console = Console(stderr=True)
    console.print("[bold red]error:[/]", end=" ")
    console.print(str(error), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(error.exit_code) from error


if __name__ == "__main__":
    main()
