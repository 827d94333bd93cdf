"""Whether a description on stdin is OpenAPI: ends with 1 and the complaints where it isn't."""

import json
import sys

from openapi_spec_validator import OpenAPIV31SpecValidator

complaints = [f"{list(error.path)}: {error.message}" for error in OpenAPIV31SpecValidator(json.load(sys.stdin)).iter_errors()]
if complaints:
    sys.exit("\n".join(complaints))
