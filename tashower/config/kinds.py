"""What a value of the configuration may be: numbers, switches and text, checked strictly."""

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

#: Of every section: unknown keys are refused, defaults are checked like given values.
STRICT = ConfigDict(extra="forbid", validate_default=True)


def _whole(value):
    """7.0 counts as 7: YAML and JSON writers do not keep the two apart."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, Field(strict=True), BeforeValidator(_whole)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Switch = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(strict=True)]
