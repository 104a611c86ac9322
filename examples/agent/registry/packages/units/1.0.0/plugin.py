"""Unit tools: convert lengths, areas, masses, temperatures, volumes, speeds, durations, pressures and data sizes.

Factors are the exact definitions (BIPM SI Brochure, 9th edition; NIST SP 811, appendix B) and are computed with as
decimals, so `1 inch` is `2.54 centimetre` and not `2.5400000000000005`.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any, NamedTuple


class _Unit(NamedTuple):
    """A unit: `value in the base unit = (value + offset) * factor`."""

    name: str
    dimension: str
    factor: Decimal
    offset: Decimal
    aliases: tuple[str, ...]


_TABLE = """
length: metre 1 m meter | kilometre 1000 km kilometer | centimetre 0.01 cm centimeter | millimetre 0.001 mm millimeter
length: micrometre 0.000001 um micrometer micron | inch 0.0254 in inches | foot 0.3048 ft feet | yard 0.9144 yd
length: mile 1609.344 mi | nautical_mile 1852 nmi
area: square_metre 1 m2 sqm square_meter | square_kilometre 1000000 km2 square_kilometer | hectare 10000 ha
area: square_foot 0.09290304 sqft ft2 square_feet | acre 4046.8564224 ac | square_mile 2589988.110336 sqmi mi2
mass: kilogram 1 kg kilo | gram 0.001 g | milligram 0.000001 mg | tonne 1000 t metric_ton
mass: pound 0.45359237 lb lbs | ounce 0.028349523125 oz | stone 6.35029318 st stones
volume: litre 1 l liter | millilitre 0.001 ml milliliter | cubic_metre 1000 m3 cubic_meter
volume: gallon 3.785411784 gal us_gallon | imperial_gallon 4.54609 | pint 0.473176473 pt us_pint
volume: imperial_pint 0.56826125 | cup 0.2365882365 us_cup | fluid_ounce 0.0295735295625 floz fl_oz
volume: tablespoon 0.01478676478125 tbsp | teaspoon 0.00492892159375 tsp
speed: metre_per_second 1 m/s mps meter_per_second | knot 0.51444444444444444444444444444 kn kt
speed: kilometre_per_hour 0.27777777777777777777777777778 km/h kmh kph kilometer_per_hour
speed: mile_per_hour 0.44704 mph miles_per_hour
duration: second 1 s sec | minute 60 min | hour 3600 h hr | day 86400 d | week 604800 wk
pressure: pascal 1 pa | kilopascal 1000 kpa | bar 100000 | atmosphere 101325 atm
pressure: psi 6894.7572931683613367226734453 pound_per_square_inch
data: byte 1 b | kilobyte 1000 kb | megabyte 1000000 mb | gigabyte 1000000000 gb | terabyte 1000000000000 tb
data: kibibyte 1024 kib | mebibyte 1048576 mib | gibibyte 1073741824 gib | tebibyte 1099511627776 tib | bit 0.125
"""
_FIFTHS = Decimal(5) / Decimal(9)
_TEMPERATURES = (
    _Unit("kelvin", "temperature", Decimal(1), Decimal(0), ("k",)),
    _Unit("celsius", "temperature", Decimal(1), Decimal("273.15"), ("c", "°c", "degree_celsius")),
    _Unit("fahrenheit", "temperature", _FIFTHS, Decimal("459.67"), ("f", "°f", "degree_fahrenheit")),
)
_PRECISION = Context(prec=15)


class UnitTools:
    """The methods of the capability `units`."""

    def convert(self, value: float, from_unit: str, to_unit: str) -> dict[str, Any]:
        """Convert a value from one unit to another of the same kind."""
        source, target = _find(from_unit), _find(to_unit)
        if source.dimension != target.dimension:
            raise ValueError(
                f"{source.name} measures {source.dimension} and {target.name} measures {target.dimension}; "
                "only units of one kind can be converted into each other"
            )
        base = (Decimal(repr(value)) + source.offset) * source.factor
        result = float(_PRECISION.plus(base / target.factor - target.offset))
        return {"value": result, "unit": target.name, "dimension": target.dimension}

    def list_units(self, dimension: str | None = None) -> dict[str, Any]:
        """List the units that are known, all of them or those of one kind."""
        known = {unit.dimension for unit in _UNITS}
        if dimension is not None and dimension not in known:
            raise ValueError(f"no unit measures {dimension!r}; known are {', '.join(sorted(known))}")
        chosen = [unit for unit in _UNITS if dimension in (None, unit.dimension)]
        return {"units": [{"name": u.name, "dimension": u.dimension, "aliases": list(u.aliases)} for u in chosen]}


def _read_table() -> tuple[_Unit, ...]:
    units = []
    for line in _TABLE.strip().splitlines():
        dimension, _, entries = line.partition(": ")
        for entry in entries.split(" | "):
            name, factor, *aliases = entry.split()
            units.append(_Unit(name, dimension, Decimal(factor), Decimal(0), tuple(aliases)))
    return (*units, *_TEMPERATURES)


def _find(name: str) -> _Unit:
    """Return the unit of that name or abbreviation, singular or plural."""
    key = "_".join(name.casefold().replace("_", " ").split())
    for form in (key, key.removesuffix("s"), key.removesuffix("es")):
        if form in _BY_NAME:
            return _BY_NAME[form]
    raise ValueError(f"{name!r} is not a known unit; units__list_units names them all")


_UNITS = _read_table()
_BY_NAME = {form: unit for unit in _UNITS for form in (unit.name, *unit.aliases)}

capabilities = {"units": UnitTools()}
