"""The examples of the editor: common expressions, and the seven fields with their values."""

from __future__ import annotations

#: An expression, and the end of the key of its words.
COMMON = (
    ("0 * * * * ?", "minute"),
    ("0 0/15 * * * ?", "quarter"),
    ("0 0 * * * ?", "hour"),
    ("0 0 8 * * ?", "daily"),
    ("0 30 2 * * ?", "night"),
    ("0 0 9 ? * MON-FRI", "workdays"),
    ("0 0/30 9-18 ? * MON-FRI", "office"),
    ("0 0 8 ? * MON", "monday"),
    ("0 0 0 1 * ?", "first"),
    ("0 0 0 L * ?", "last"),
    ("0 0 17 LW * ?", "lastworkday"),
    ("0 0 0 1 1,4,7,10 ?", "quarterly"),
)
#: The end of the key of a field's name, its values, and its signs.
SEVEN_FIELDS = (
    ("seconds", "0-59", "* , - /"),
    ("minutes", "0-59", "* , - /"),
    ("hours", "0-23", "* , - /"),
    ("day_of_month", "1-31", "* ? , - / L W"),
    ("month", "1-12 JAN-DEC", "* , - /"),
    ("day_of_week", "1-7 SUN-SAT", "* ? , - / L #"),
    ("year", "1970-2099", "* , - /"),
)
