from pydantic import BaseModel


class Endpoint(BaseModel):
    url: str
