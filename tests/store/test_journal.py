from __future__ import annotations

from domain.approvals import Approval, ApprovalVerdict
from domain.calls import CapabilityRequest, RequestKind
from store.database import Store
from store.journal import Journal, Line
from store.tables import RequestRow
from tests.store.factories import NOON, at


def request(number: int, seconds: float) -> CapabilityRequest:
    return CapabilityRequest(
        id=f"request-{number}", kind=RequestKind.ASKED, text="translate this", caller="anna", requested_at=at(seconds)
    )


def line(number: int, seconds: float, owner: str = "anna") -> Line[CapabilityRequest]:
    document = request(number, seconds)
    return Line(document.id, owner, document.requested_at, document)


def journal(store: Store) -> Journal[CapabilityRequest]:
    return Journal(store._sessions, RequestRow, CapabilityRequest)


def test_appending_a_known_id_changes_nothing(store: Store) -> None:
    journal(store).append([line(1, 0)])
    journal(store).append([line(1, 99), line(2, 1)])
    assert journal(store).since(NOON) == [request(1, 0), request(2, 1)]


def test_replacing_a_known_id_overwrites_it(store: Store) -> None:
    journal(store).append([line(1, 0)])
    journal(store).replace([line(1, 99)])
    assert journal(store).since(NOON) == [request(1, 99)]


def test_what_is_said_of_one_owner_comes_back_in_the_order_it_was_said(store: Store) -> None:
    journal(store).append([line(1, 5), line(2, 3), line(3, 4, owner="ben")])
    assert journal(store).of("anna") == [request(1, 5), request(2, 3)]
    assert journal(store).of("carla") == []


def test_since_is_inclusive_and_in_order_of_time(store: Store) -> None:
    journal(store).append([line(1, 5), line(2, 3), line(3, 4)])
    assert journal(store).since(at(4)) == [request(3, 4), request(1, 5)]


def test_the_newest_come_last_in_first_out(store: Store) -> None:
    journal(store).append([line(1, 1), line(2, 2), line(3, 3)])
    assert journal(store).newest(2) == [request(3, 3), request(2, 2)]


def test_an_empty_batch_is_harmless(store: Store) -> None:
    journal(store).append([])
    assert journal(store).newest(1) == []


def test_a_word_repeated_is_kept_once(store: Store) -> None:
    word = Approval(
        id="a", upgrade_id="u", opportunity_id="o", verdict=ApprovalVerdict.APPROVED, actor="owner", at=NOON
    )
    store.approvals.put(word)
    store.approvals.put(word)
    assert store.approvals.of("u") == [word]
