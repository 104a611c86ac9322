"""Currency tools: convert amounts of money at rates the caller brings, rounded as the target currency is.

The plugin knows no rates and asks nobody for them: a table of rates against one base currency is an argument.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

_WHOLE_ONLY = frozenset({"CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"})
_THREE_PLACES = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


class CurrencyTools:
    """The methods of the capability `currency`."""

    def exchange(self, amount: float, from_currency: str, to_currency: str, rates: dict[str, float]) -> dict[str, Any]:
        """Exchange an amount at rates that say how much of each currency one unit of the base buys."""
        source, target = from_currency.upper(), to_currency.upper()
        exact = Decimal(repr(amount)) / _rate(rates, source) * _rate(rates, target)
        return {
            "amount": float(_rounded(exact, target)),
            "currency": target,
            "rate": round(float(_rate(rates, target) / _rate(rates, source)), 8),
        }

    def split(self, amount: float, currency: str, parts: int) -> dict[str, Any]:
        """Split an amount into parts that differ by at most one smallest coin and add up exactly."""
        places = _places(currency.upper())
        coins = int(_rounded(Decimal(repr(amount)), currency.upper()).scaleb(places))
        small, extra = divmod(coins, parts)
        shares = [small + 1] * extra + [small] * (parts - extra)
        return {"parts": [float(Decimal(share).scaleb(-places)) for share in shares], "currency": currency.upper()}


def _rate(rates: dict[str, float], currency: str) -> Decimal:
    if currency not in rates:
        raise ValueError(f"the rates do not name {currency}; they name {', '.join(sorted(rates)) or 'nothing'}")
    return Decimal(repr(rates[currency]))


def _rounded(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-_places(currency)), rounding=ROUND_HALF_EVEN)


def _places(currency: str) -> int:
    return 0 if currency in _WHOLE_ONLY else 3 if currency in _THREE_PLACES else 2


capabilities = {"currency": CurrencyTools()}
