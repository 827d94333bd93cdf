"""What fastavro says of our schemas and datums: requests as lines of JSON, an answer each.

{"schema": S, "data": [hex]}              reads and writes: {"values": [JSON], "written": [hex]}
{"schema": S, "reader": R, "data": [hex]} reads by schema resolution
Whatever fails: {"error": text}
"""

import io
import json
import sys

import fastavro


def answer(request):
    writer = fastavro.parse_schema(request["schema"])
    reader = fastavro.parse_schema(request["reader"]) if "reader" in request else writer
    values, written = [], []
    for datum in request.get("data", []):
        stream = io.BytesIO(bytes.fromhex(datum))
        value = fastavro.schemaless_reader(stream, writer, reader)
        if stream.read(1):
            raise ValueError("something follows the datum")
        values.append(value)
        out = io.BytesIO()
        fastavro.schemaless_writer(out, reader, value, strict=True)
        written.append(out.getvalue().hex())
    return {"values": values, "written": written}


for line in sys.stdin:
    try:
        said = answer(json.loads(line))
    except Exception as error:
        said = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(said, allow_nan=False), flush=True)
