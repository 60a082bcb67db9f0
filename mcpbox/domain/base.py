"""The configuration and the time that every domain model shares."""

from datetime import UTC, datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, computed_field

Item = TypeVar("Item")


class DomainModel(BaseModel):
    """Immutable value; unknown fields are an error, not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PageRequest(DomainModel):
    page: int = Field(default=1, ge=1)
    page_size: int = Field(default=50, ge=1, le=100)

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.page_size


class Page(BaseModel, Generic[Item]):
    """One page of a list, in the order that its query documents."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    items: list[Item]
    total: int
    page: int
    page_size: int

    @computed_field
    @property
    def pages(self) -> int:
        return -(-self.total // self.page_size)


def utc_now() -> datetime:
    return datetime.now(UTC)
