"""CronExpression in pydantic models, with pydantic itself."""

from __future__ import annotations

from datetime import date

import pytest

from quartzcron import CronExpression

pydantic = pytest.importorskip("pydantic")
pydantic_core = pytest.importorskip("pydantic_core")


class Timer(pydantic.BaseModel):  # type: ignore[misc, unused-ignore]
    """A model with a field of each shape."""

    schedule: CronExpression
    fallback: CronExpression | None = None


ZONED = CronExpression("0 0 8 ? * MON", tz="Asia/Shanghai", dst="quartz")


@pytest.mark.parametrize("value", ["0 0 8 ? * MON", CronExpression("0 0 8 ? * MON"), {"expression": "0 0 8 ? * MON"}])
def test_texts_expressions_and_objects_are_validated(value: object) -> None:
    """All of them become an expression."""
    assert Timer(schedule=value).schedule == CronExpression("0 0 8 ? * MON")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0 75 8 * * ?", "75 is out of range; minutes go from 0 to 59"),
        ("0 8 * * 1-5", "did you mean"),
        (5, "a text, or an object"),
        ({"text": "0 0 8 * * ?"}, "a text, or an object"),
        ({"expression": "0 0 8 * * ?", "tz": "Asia/Shangai"}, "unknown time zone"),
        ({"expression": "0 0 8 * * ?", "tz": 8}, "zone name"),
    ],
)
def test_what_is_no_expression_is_a_validation_error(value: object, message: str) -> None:
    """It carries what CronError says."""
    with pytest.raises(pydantic.ValidationError, match=message):
        Timer(schedule=value)


@pytest.mark.parametrize("schedule", [CronExpression("0 0 8 ? * MON"), ZONED, CronExpression("0 0 8 * * ?", tz="UTC")])
def test_models_go_through_json_and_back(schedule: CronExpression) -> None:
    """Zone and policy included; as Python objects they stay what they are."""
    timer = Timer(schedule=schedule, fallback=schedule)
    assert Timer.model_validate_json(timer.model_dump_json()) == timer
    assert timer.model_dump()["schedule"] is schedule


def test_the_json_form_is_the_text_where_that_is_all() -> None:
    """And an object where it is not."""
    assert Timer(schedule="0 0 8 ? * MON").model_dump_json() == '{"schedule":"0 0 8 ? * MON","fallback":null}'
    dumped = Timer(schedule=ZONED).model_dump(mode="json")
    assert dumped["schedule"] == {"expression": "0 0 8 ? * MON", "tz": "Asia/Shanghai", "dst": "quartz"}
    closed = ZONED.excluding([date(2026, 1, 5)])
    with pytest.raises(pydantic_core.PydanticSerializationError, match="no JSON form"):
        Timer(schedule=closed).model_dump_json()


def test_the_json_schema_has_both_forms() -> None:
    """For validation and for serialization."""
    for mode in ("validation", "serialization"):
        field = Timer.model_json_schema(mode=mode)["properties"]["schedule"]
        assert field["anyOf"][0] == {"type": "string", "format": "quartz-cron", "examples": ["0 0 8 ? * MON-FRI"]}
        assert field["anyOf"][1]["required"] == ["expression"]


def test_a_default_that_is_a_text_is_written_as_it_is() -> None:
    """Pydantic does not validate defaults unless it is told to."""

    class WithDefault(pydantic.BaseModel):  # type: ignore[misc, unused-ignore]
        schedule: CronExpression = "0 0 8 ? * MON"  # type: ignore[assignment]

    assert WithDefault().model_dump_json() == '{"schedule":"0 0 8 ? * MON"}'


def test_an_error_in_a_union_of_types_has_the_name_of_the_class_in_its_place() -> None:
    """Not that of a function of this package."""
    either = pydantic.TypeAdapter(CronExpression | int)
    with pytest.raises(pydantic.ValidationError) as refused:
        either.validate_python("no")
    assert [error["loc"] for error in refused.value.errors()] == [("function-plain[CronExpression()]",), ("int",)]
