"""A problem document (RFC 9457): the form of every error answer. Which error becomes which is not here."""

from pydantic import BaseModel, Field

from service.schemas.absent import absent


class FieldProblem(BaseModel):
    """One wrong field of several."""

    field: str | None = absent("Where in the request, such as `target` or `texts[2]`.")
    detail: str = Field(description="What was wrong.")
    allowed: list[str] | str | None = absent("What the field may be.")


class Problem(BaseModel):
    """Why a request, or one item of it, was not done."""

    type: str = Field(description="Names the kind of problem; stable, for programs to compare.")
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status; in an item of `results`, the item's own.")
    detail: str = Field(description="What was wrong this time.")
    field: str | None = absent("The input at fault, such as `target` or `texts[2]`.")
    allowed: list[str] | str | None = absent("What the field may be.")
    errors: list[FieldProblem] | None = absent("Each wrong field, where there are several.")
    reasons: list[str] | None = absent("Why the service is not ready.")
    request_id: str = Field(description="Also in the X-Request-Id header and in the service's log.")

    def of_item(self, number: int) -> "Problem":
        """The same, told of an item of `texts`: the task, which sees one text only, calls it `text`."""
        if self.field == "text":
            self.field = f"texts[{number}]"
        return self
