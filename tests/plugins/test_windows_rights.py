"""How Windows' access lists are read and extended, held against identifiers and lists that Windows itself made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from plugins.core.windows_rights import (
    ALL_APP_PACKAGES,
    CAPABILITY,
    Grant,
    Rights,
    capability_sid,
    container_name,
    container_sid,
    entries,
    is_granted,
    with_grant,
)

OURS = container_sid(container_name("calculator"))
PROGRAM_FILES = (  # as `icacls` and `Get-Acl` show it for a folder of C:\Program Files
    "D:PAI(A;OICI;FA;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)"
    "(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;AC)"
    "(A;OICI;0x1200a9;;;S-1-15-2-2)"
)
PROFILE = "D:AI(D;;DC;;;WD)(A;OICI;FA;;;S-1-5-21-1-2-3-1001)(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)"


@pytest.mark.parametrize(
    ("name", "sid"),
    [  # both stand in access lists that Windows 10 ships with
        ("registryRead", "1065365936-1281604716-3511738428-1654721687-432734479-3232135806-4053264122-3456934681"),
        ("lpacCom", "2405443489-874036122-4286035555-1823921565-1746547431-2453885448-3625952902-991631256"),
    ],
)
def test_a_capability_is_known_by_its_name(name: str, sid: str) -> None:
    assert capability_sid(name) == f"S-1-15-3-1024-{sid}"


def test_a_container_is_known_by_its_name_whatever_its_case() -> None:
    edge = "S-1-15-2-3624051433-2125758914-1423191267-1740899205-1073925389-3782572162-737981194"
    assert container_sid("Microsoft.MicrosoftEdge_8wekyb3d8bbwe") == edge


def test_two_plugins_have_two_containers() -> None:
    assert container_sid(container_name("one")) != container_sid(container_name("two"))
    assert len(container_name("x" * 40)) <= 64


@pytest.mark.parametrize(
    ("sddl", "rights", "sid", "granted"),
    [
        (PROGRAM_FILES, Rights.READ, ALL_APP_PACKAGES, True),
        (PROGRAM_FILES, Rights.MODIFY, ALL_APP_PACKAGES, False),
        (PROGRAM_FILES, Rights.READ, OURS, False),
        (PROFILE, Rights.READ, OURS, False),
        (f"D:(A;OICI;FA;;;{OURS})", Rights.MODIFY, OURS, True),
        (f"D:(A;OICI;FRFX;;;{OURS})", Rights.READ, OURS, True),
        (f"D:(A;OICI;FR;;;{OURS})", Rights.READ, OURS, False),
        (f"D:(A;OICIIO;FA;;;{OURS})", Rights.READ, OURS, False),
        (f"D:(D;OICI;FA;;;{OURS})", Rights.READ, OURS, False),
        (f"D:(XA;OICI;FA;;;{OURS};(Exists WIN://SYSAPPID))", Rights.READ, OURS, False),
        ("D:NO_ACCESS_CONTROL", Rights.READ, OURS, True),
        ("D:", Rights.READ, OURS, False),
    ],
)
def test_what_is_granted_is_seen(sddl: str, rights: Rights, sid: str, granted: bool) -> None:
    assert is_granted(sddl, rights, {sid}) is granted


def test_conditions_do_not_confuse_the_reading() -> None:
    assert list(entries("D:(XA;;FX;;;WD;(@User.a==(1)))(A;;FA;;;SY)")) == ["XA;;FX;;;WD;(@User.a==(1))", "A;;FA;;;SY"]


def test_a_grant_stands_after_what_was_set_here_and_before_what_was_inherited() -> None:
    changed = with_grant(PROFILE, Rights.READ, OURS)
    mine = f"A;OICI;0x1200a9;;;{OURS}"
    assert changed.startswith("D:AI(D;;DC;;;WD)")
    assert list(entries(changed)) == [*list(entries(PROFILE))[:2], mine, *list(entries(PROFILE))[2:]]
    assert is_granted(changed, Rights.READ, {OURS})


def test_a_protected_list_stays_protected() -> None:
    assert with_grant(PROGRAM_FILES, Rights.READ, capability_sid(CAPABILITY)).startswith("D:PAI(")


if sys.platform == "win32":
    from plugins.core.windows_rights import access_list, carry_out, make_container
    from tests.plugins.windows import WINE, not_enforced_by_wine

    @not_enforced_by_wine
    def test_a_grant_is_added_once_and_takes_nothing_away(tmp_path: Path) -> None:
        before = list(entries(access_list(tmp_path)))
        carry_out(Grant(tmp_path, Rights.READ, OURS))
        carry_out(Grant(tmp_path, Rights.READ, OURS))
        after = list(entries(access_list(tmp_path)))
        assert set(before) < set(after)
        assert len(after) == len(before) + 1
        file = tmp_path / "later.txt"
        file.write_text("x", encoding="utf-8")
        assert is_granted(access_list(file), Rights.READ, {OURS})

    def test_a_grant_leaves_a_file_readable_for_its_owner(tmp_path: Path) -> None:
        file = tmp_path / "file.txt"
        file.write_text("x", encoding="utf-8")
        carry_out(Grant(file, Rights.READ, OURS))
        assert file.read_text(encoding="utf-8") == "x"

    def test_what_is_not_there_cannot_be_granted(tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            carry_out(Grant(tmp_path / "missing", Rights.READ, OURS))

    @pytest.mark.skipif(WINE, reason="wine has no AppContainers")
    def test_a_container_is_made_once() -> None:
        make_container(container_name("house_test"))
        make_container(container_name("house_test"))

    @pytest.mark.skipif(not WINE, reason="every Windows has AppContainers")
    def test_a_system_without_containers_says_so() -> None:
        with pytest.raises(OSError, match="no AppContainers"):
            make_container(container_name("house_test"))
