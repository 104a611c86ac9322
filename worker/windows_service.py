"""Spec 10.1, Windows service - decides how the worker is installed, started, stopped and recovered under Windows.

    python -m worker.windows_service install [--home DIR]     needs an elevated prompt, as the next four do
    python -m worker.windows_service remove | start | stop | restart

Rules:
- The service is this file, run by the environment's own Python; there is no second Python to configure.
- It supervises one child, `python -m worker.cli worker`, whose home was fixed at installation.
- Stop and shutdown give the child its grace; the Temporal Service keeps whatever was in progress.
- The child is started again by the service, the service by Windows: after 5 s, 30 s and then every 60 s.
- Elsewhere than on Windows this module can be imported and says that it is for Windows.

Not here: the worker (`worker/main.py`), restarting and stopping a child (`worker/supervision.py`).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # Windows starts this file by its path
    sys.path.insert(0, str(ROOT))

from worker.supervision import Supervisor  # noqa: E402 - the line above makes it findable

SERVICE_NAME = "UpgradeLoopWorker"
DISPLAY_NAME = "Self-Upgrading Loop worker"
DESCRIPTION = "Runs the workflows and activities of the Self-Upgrading Loop."
COMMANDS = ("install", "remove", "start", "stop", "restart", "run")
GRACE_SECONDS = 30.0
RECOVERY_SECONDS = (5, 30, 60)
FORGET_FAILURES_AFTER_SECONDS = 86_400


def worker_command() -> list[str]:
    """Return the command that the service keeps running."""
    return [sys.executable, "-m", "worker.cli", "worker"]


def worker_environment(home: Path) -> dict[str, str]:
    """Return the child's environment: ours, with the home that was fixed at installation."""
    return {**os.environ, "UPGRADE_LOOP_HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


def service_arguments(home: Path) -> str:
    """Return what follows Python's path in the command line that Windows starts."""
    return f'"{Path(__file__).resolve()}" run --home "{home}"'


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m worker.windows_service", description=DESCRIPTION)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--home", type=Path, default=Path.home() / ".upgrade-loop", help="folder of the installation")
    return parser.parse_args(arguments)


if sys.platform == "win32":
    import servicemanager
    import win32console
    import win32service
    import win32serviceutil

    class WorkerService(win32serviceutil.ServiceFramework):
        """The service as Windows sees it."""

        _svc_name_ = SERVICE_NAME
        _svc_display_name_ = DISPLAY_NAME
        _svc_description_ = DESCRIPTION
        home = Path.home() / ".upgrade-loop"

        def __init__(self, args: list[str]) -> None:
            super().__init__(args)
            self.supervisor = Supervisor(
                command=worker_command(),
                folder=ROOT,
                environment=worker_environment(self.home),
                log_file=self.home / "logs" / "worker-service.log",
                grace_seconds=GRACE_SECONDS,
                tell=servicemanager.LogInfoMsg,
            )

        def SvcStop(self) -> None:  # noqa: N802 - the framework calls it by this name
            """Tell Windows that the end has begun, and begin it."""
            self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING, waitHint=int(GRACE_SECONDS * 1_000) + 5_000)
            self.supervisor.stop()

        SvcShutdown = SvcStop

        def SvcDoRun(self) -> None:  # noqa: N802 - the framework calls it by this name
            """Keep the worker running until `SvcStop`; the console is for the key press that stops it."""
            win32console.AllocConsole()
            self.supervisor.run()

    def install(home: Path) -> None:
        """Register the service, started at boot after the others, and its recovery."""
        win32serviceutil.InstallService(
            f"{__name__}.WorkerService",
            SERVICE_NAME,
            DISPLAY_NAME,
            startType=win32service.SERVICE_AUTO_START,
            exeName=sys.executable,
            exeArgs=service_arguments(home),
            description=DESCRIPTION,
            delayedstart=True,
        )
        recover()

    def recover() -> None:
        """Let Windows start the service again when its process dies or ends with an error."""
        manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_ALL_ACCESS)
        try:
            service = win32service.OpenService(manager, SERVICE_NAME, win32service.SERVICE_ALL_ACCESS)
            actions = [(win32service.SC_ACTION_RESTART, 1_000 * seconds) for seconds in RECOVERY_SECONDS]
            plan = {"ResetPeriod": FORGET_FAILURES_AFTER_SECONDS, "RebootMsg": "", "Command": "", "Actions": actions}
            win32service.ChangeServiceConfig2(service, win32service.SERVICE_CONFIG_FAILURE_ACTIONS, plan)
            win32service.ChangeServiceConfig2(service, win32service.SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, True)
            win32service.CloseServiceHandle(service)
        finally:
            win32service.CloseServiceHandle(manager)

    def serve(home: Path) -> None:
        """Hand this process to Windows as the service."""
        WorkerService.home = home
        servicemanager.Initialize()
        servicemanager.PrepareToHostSingle(WorkerService)
        servicemanager.StartServiceCtrlDispatcher()  # type: ignore[no-untyped-call]  # its stub has no types

    def obey(command: str, home: Path) -> int:
        """Carry out one command; return 1 when Windows refuses."""
        actions: dict[str, Callable[[], object]] = {
            "install": lambda: install(home),
            "remove": lambda: win32serviceutil.RemoveService(SERVICE_NAME),
            "start": lambda: win32serviceutil.StartService(SERVICE_NAME),
            "stop": lambda: win32serviceutil.StopService(SERVICE_NAME),
            "restart": lambda: win32serviceutil.RestartService(SERVICE_NAME),
            "run": lambda: serve(home),
        }
        try:
            actions[command]()
        except win32service.error as error:
            sys.stderr.write(f"{command} {SERVICE_NAME}: {error.strerror} Is this an elevated prompt?\n")
            return 1
        return 0

else:

    def obey(command: str, home: Path) -> int:
        """Say that this is the wrong system."""
        sys.stderr.write(
            f"{command} for {home}: Windows services are for Windows; use systemd or docker-compose.yml.\n"
        )
        return 2


def main(arguments: list[str]) -> int:
    """Carry out a command; return 0 when done, 1 when Windows refused, 2 when it makes no sense here."""
    options = parse(arguments)
    return obey(options.command, options.home.resolve())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
