"""Spec 3.1 and 3.3, the plugin commands - decides what `upgrade-loop plugin` says.

Rules:
- Everything but `install`, `retire` and a `call` of what serves works without a home and without any process running.
- A refusal is an answer: the document says why, the exit code is 1.

Not here: what the commands do (`worker/plugin_house.py`, `plugins/core/`).
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from activities.approvals import objection_to
from activities.registration import sources_of
from domain.base import JsonObject
from domain.contracts import split_tool_name
from domain.errors import InvalidInput, PermissionDenied
from domain.isolation import Isolation
from domain.plugins import LoadingStrategy
from domain.registration import RegistrationResult
from domain.roles import Command
from engines.compatibility import compare_contracts
from engines.security import verify as run_checks
from plugins.core.archives import pack as pack_package
from plugins.core.authoring import write_foreign, write_template
from plugins.core.isolation import chosen_jail
from plugins.core.packages import read_package, write_whole
from plugins.core.strategies import Terms
from worker.commands.options import DEFAULT_ACTOR, Actor
from worker.commands.session import SESSION, table
from worker.plugin_calls import call_package, call_serving
from worker.plugin_house import Installed, PluginHouse, Wish, hosting, opened

app = typer.Typer(help="Make, check, install, call and retire plugins.")

Source = Annotated[Path, typer.Argument(metavar="PLUGIN", help="A plugin's folder, or the archive it was packed into.")]
Named = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="A plugin that is here; `plugin list` shows them.")
]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Lower-case words joined by underscores: my_plugin.")],
    into: Annotated[Path, typer.Option(help="Where the plugin's folder is made.")] = Path(),
    command: Annotated[str, typer.Option(help="Make a plugin of the MCP stdio server that this starts.")] = "",
    files: Annotated[Path | None, typer.Option(help="With --command: a folder whose files the server needs.")] = None,
    isolation: Annotated[
        Isolation | None, typer.Option(help="Without --command: the one tier that the plugin is to run in.")
    ] = None,
) -> None:
    """Write a new plugin's folder: manifest, code, contracts, tests and a page; or that of a foreign MCP server."""
    folder, left_out = into / name, list[str]()
    if command and isolation:
        hint = "Write it into the manifest when the server is there: security_profile.isolation."
        raise InvalidInput("--isolation is for a plugin of the house's own kind, not for a foreign server.", hint=hint)
    if command:
        jail = chosen_jail(SESSION.home, SESSION.settings.security)
        written, left_out = SESSION.run(write_foreign(folder, name, shlex.split(command), jail, files))
    else:
        written = write_template(folder, name, isolation)
    following = [f"upgrade-loop plugin verify {folder}", f"upgrade-loop plugin install {folder}"]

    def human(out: Console) -> None:
        out.print(f"{folder} is a plugin with {len(written)} files. Next:")
        for line in following:
            out.print(f"  {line}", highlight=False)
        for reason in left_out:
            out.print(f"Left out: {reason}")

    SESSION.answer({"folder": folder, "files": written, "left_out": left_out, "next": following}, human)


@app.command()
def pack(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A plugin's folder.")],
    out: Annotated[Path, typer.Option(help="Where the archive is written.")] = Path(),
) -> None:
    """Pack a plugin into one file; the same files give the same bytes."""
    packed = pack_package(folder)
    target = out / packed.name
    write_whole(target, packed.content)
    document = {
        "archive": target,
        "id": packed.package.id,
        "digest": packed.package.digest,
        "sha256": packed.sha256,
        "bytes": len(packed.content),
        "files": packed.files,
    }
    SESSION.answer(document, lambda console: console.print(f"{target}: {packed.package.id}, sha256 {packed.sha256}"))


@app.command()
def verify(source: Source) -> None:
    """Check a plugin without starting it: contract, the five security checks, what it needs, whom it would break."""
    with opened(source) as folder, SESSION.store() as store:
        house = PluginHouse(SESSION.home, SESSION.settings, store)
        package = read_package(folder)
        found = run_checks(package, sources_of(folder), house.policy(package))
        looked = SESSION.run(house.examined(folder))
    passed = found.passed and looked.passed
    SESSION.code = 0 if passed else 1

    def human(out: Console) -> None:
        rows = [(check.name, "passed" if check.passed else "failed", len(check.findings)) for check in found.checks]
        out.print(table(f"{package.id} ({package.digest[:12]})", ("check", "", "findings"), rows))
        for check in found.checks:
            for finding in check.findings:
                where = f"{finding.file}:{finding.line} " if finding.file else ""
                out.print(f"{finding.severity}: {where}{finding.message}", highlight=False)
        _show_phases(out, looked)

    document = {
        "passed": passed,
        "id": package.id,
        "digest": package.digest,
        "checks": found.checks,
        "recommendations": found.recommendations,
        "phases": looked.phases,
    }
    SESSION.answer(document, human)


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The version whose callers are to be kept.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The version that would take over.")],
) -> None:
    """Say whether a version keeps the callers of another one, and show with values where it does not."""
    with opened(old) as before, opened(new) as after:
        one, other = read_package(before), read_package(after)
    compatibility = compare_contracts(one.contract, other.contract)
    SESSION.code = 0 if compatibility.allowed else 1

    def human(out: Console) -> None:
        told = "keeps" if compatibility.allowed else "does not keep"
        out.print(f"{other.id} {told} the callers of {one.id} ({compatibility.verdict}).")
        for change in compatibility.changes:
            for breach in change.breaches:
                shown = f" Example: {json.dumps(breach.example)}" if breach.example is not None else ""
                out.print(f"- {breach}{shown}", highlight=False)

    document = {
        "before": one.id,
        "after": other.id,
        "verdict": compatibility.verdict,
        "allowed": compatibility.allowed,
        "changes": compatibility.changes,
    }
    SESSION.answer(document, human)


@app.command()
def install(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    source: Source,
    strategy: Annotated[LoadingStrategy, typer.Option(help="How it gets its callers.")] = LoadingStrategy.HOT_SWAP,
    share: Annotated[float, typer.Option(min=0, max=1, help="With canary: the share of the callers.")] = 0.1,
    window: Annotated[float, typer.Option(min=0, help="With blue_green: seconds the old version stays whole.")] = 60.0,
    register_only: Annotated[bool, typer.Option("--register-only", help="Give it no callers.")] = False,  # noqa: FBT002 - a flag
    accept_unproven: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--accept-unproven", help="Let pass what cannot be proved of its interface.")
    ] = False,
    actor: Actor = DEFAULT_ACTOR,
) -> None:
    """Register a plugin in five phases and bring it into service."""
    _require(actor, Command.INSTALL_PLUGIN)
    wish = Wish(
        actor=actor,
        strategy=None if register_only else strategy,
        terms=Terms(share=share, window_seconds=window),
        accept_unproven=accept_unproven,
    )
    with SESSION.store() as store:
        house = PluginHouse(SESSION.home.create(), SESSION.settings, store)
        done = SESSION.run(house.install(source, wish))
    SESSION.code = 0 if done.passed else 1
    document = {
        "installed": done.passed,
        "id": done.registration.plugin_id,
        "gateway": done.gateway,
        "message": _told(done),
        "registration": {
            **done.registration.model_dump(mode="json"),
            "failed_phase": done.registration.failed_phase,
        },
        "loaded": done.loaded,
    }

    def human(out: Console) -> None:
        _show_phases(out, done.registration)
        out.print(_told(done), highlight=False)

    SESSION.answer(document, human)


@app.command(name="list")
def list_plugins() -> None:
    """List the plugins that are here, and which of them serves whom."""
    with SESSION.store() as store:
        rows = PluginHouse(SESSION.home, SESSION.settings, store).catalogue.entries()
        routes = store.routes.load().routes
    serving: dict[str, JsonObject] = {row.version.digest: {} for row in rows}
    for name, route in routes.items():
        shares = ((route.control, 1.0 if route.candidate is None else 1 - route.share), (route.candidate, route.share))
        for version, share in shares:
            if version is not None and version.digest in serving:
                serving[version.digest][name] = share

    def human(out: Console) -> None:
        headings = ("plugin", "stands", "capabilities", "serves", "what it does")
        lines = [
            (
                row.id,
                row.standing or "",
                ", ".join(row.capabilities),
                ", ".join(f"{name} {share:.0%}" for name, share in serving[row.version.digest].items()),
                row.description,
            )
            for row in rows
        ]
        out.print(table("Plugins", headings, lines))

    shown = [{**row.model_dump(mode="json"), "serving": serving[row.version.digest]} for row in rows]
    SESSION.answer({"plugins": shown}, human)


@app.command()
def call(
    tool: Annotated[str, typer.Argument(help="<capability>__<method>")],
    arguments: Annotated[str, typer.Argument(help="A JSON object; `-` reads it from standard input.")] = "{}",
    plugin: Annotated[
        Path | None, typer.Option("--plugin", help="Call this folder or archive, in a process of its own.")
    ] = None,
) -> None:
    """Call a method: of the version that serves, or of a plugin that is not installed at all."""
    named = _tool(tool)
    given = _object(sys.stdin.read() if arguments == "-" else arguments)
    if plugin is not None:
        with opened(plugin) as folder:
            called = SESSION.run(call_package(folder, hosting(SESSION.home, SESSION.settings), named, given, _progress))
    else:
        with SESSION.store() as store:
            house = PluginHouse(SESSION.home, SESSION.settings, store)
            called = SESSION.run(call_serving(house, store, named, given, _progress))
    SESSION.code = 0 if called.ok else 1
    said = json.dumps(called.result, indent=2, ensure_ascii=False) if called.ok else called.message
    document = {**asdict(called), "ok": called.ok}
    SESSION.answer(document, lambda out: out.print(said, highlight=False, markup=False))


@app.command()
def retire(
    named: Named,
    purge: Annotated[bool, typer.Option("--purge", help="Remove its package, too.")] = False,  # noqa: FBT002 - a flag
    actor: Actor = DEFAULT_ACTOR,
) -> None:
    """Take a version out of service: its calls end, its last hook runs, it stands among the deprecated."""
    _require(actor, Command.RETIRE_PLUGIN)
    name, _, version = named.partition("@")
    with SESSION.store() as store:
        house = PluginHouse(SESSION.home, SESSION.settings, store)
        plugin = house.catalogue.find(name, version or None)
        gone = SESSION.run(house.retire(plugin, actor, purge=purge))
    verb = "purged" if purge else "retired"
    nobody = f" Nobody serves {', '.join(gone)} any more." if gone else ""
    document = {"retired": plugin.id, "digest": plugin.version.digest, "purged": purge, "out_of_service": gone}
    SESSION.answer(document, lambda out: out.print(f"{plugin.id} is {verb}.{nobody}", highlight=False))


def _require(actor: str, command: Command) -> None:
    if objection := objection_to(SESSION.settings, actor, command):
        raise PermissionDenied(objection, hint="Name with --as a person whose role under `roles` includes it.")


def _tool(name: str) -> tuple[str, str]:
    found = split_tool_name(name)
    if found is None:
        raise InvalidInput(f"{name!r} is no tool.", hint="A tool is named <capability>__<method>: my_plugin__greet.")
    return found


def _object(text: str) -> JsonObject:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"The arguments are no JSON: {error}.", hint='Write them as {"name": "value"}.') from error
    if not isinstance(given, dict):
        raise InvalidInput("The arguments are no JSON object.", hint='Write them as {"name": "value"}.')
    return given


def _progress(told: JsonObject) -> None:
    """Show on a terminal how far a call is."""
    if sys.stderr.isatty():
        total = f" of {told['total']}" if "total" in told else ""
        sys.stderr.write(f"{told['progress']}{total} {told.get('message', '')}\n")


def _told(done: Installed) -> str:
    """Return what became of an installation, in one sentence or two."""
    loaded = done.loaded
    if not done.registration.passed:
        return done.registration.summary
    if loaded is None:
        return f"{done.registration.summary} It has no callers."
    if not loaded.passed:
        return f"{loaded.version.id} is registered and does not serve: {loaded.reason}"
    whom = ", ".join(f"{name} ({share:.0%})" for name, share in loaded.serving.items())
    when = "" if done.gateway else " No gateway runs; it serves as soon as one does."
    return f"{loaded.version.id} serves {whom}.{when}"


def _show_phases(out: Console, result: RegistrationResult) -> None:
    rows = [
        (report.phase, "passed" if report.passed else "failed", f"{report.seconds:.2f} s") for report in result.phases
    ]
    out.print(table("Registration", ("phase", "", "time"), rows))
    for report in result.phases:
        for warning in report.warnings:
            out.print(f"warning: {warning}", highlight=False, markup=False)
    for fault in result.faults:
        example = f" Example: {json.dumps(fault.example)}" if fault.example is not None else ""
        out.print(f"{fault.path or 'plugin'}: {fault.message}{example}", highlight=False, markup=False)
