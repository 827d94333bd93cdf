// What the Java Avro library says of our schemas and datums: requests as lines of JSON, an answer each.
//
// {"schema": S, "data": [hex]}              reads and writes: {"values": [JSON], "written": [hex]}
// {"schema": S, "reader": R, "data": [hex]} reads by schema resolution
// {"writer": S, "reader": R}                {"compatibility": "COMPATIBLE"} or what is in the way
// Whatever fails: {"error": text}

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import org.apache.avro.NameValidator;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.Encoder;
import org.apache.avro.io.EncoderFactory;

class Check {
    static final ObjectMapper MAPPER = new ObjectMapper();
    static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    // As small as it gets: lists are then written in many blocks, each with its length in bytes.
    static final EncoderFactory BLOCKS = new EncoderFactory().configureBlockSize(64);

    public static void main(String[] arguments) throws IOException {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            ObjectNode answer;
            try {
                answer = answer(MAPPER.readTree(line));
            } catch (RuntimeException | IOException error) {
                answer = JSON.objectNode().put("error", String.valueOf(error));
            }
            out.println(MAPPER.writeValueAsString(answer));
        }
    }

    static ObjectNode answer(JsonNode request) throws IOException {
        if (request.has("writer")) {
            var found = SchemaCompatibility.checkReaderWriterCompatibility(
                schema(request.get("reader")), schema(request.get("writer")));
            var answer = JSON.objectNode().put("compatibility", found.getType().name());
            return answer.put("why", found.getResult().getIncompatibilities().toString());
        }
        Schema writer = schema(request.get("schema"));
        Schema reader = request.has("reader") ? schema(request.get("reader")) : writer;
        ArrayNode values = JSON.arrayNode();
        ArrayNode written = JSON.arrayNode();
        for (JsonNode datum : request.path("data")) {
            BinaryDecoder decoder =
                DecoderFactory.get().binaryDecoder(HexFormat.of().parseHex(datum.asText()), null);
            GenericRecord record = new GenericDatumReader<GenericRecord>(writer, reader).read(null, decoder);
            if (!decoder.isEnd()) {
                throw new IOException("something follows the datum");
            }
            values.add(json(record));
            written.add(HexFormat.of().formatHex(bytes(reader, record)));
        }
        ObjectNode answer = JSON.objectNode();
        answer.set("values", values);
        answer.set("written", written);
        return answer;
    }

    static Schema schema(JsonNode json) {
        return new Schema.Parser(NameValidator.STRICT_VALIDATOR).setValidateDefaults(true).parse(json.toString());
    }

    static byte[] bytes(Schema schema, GenericRecord record) throws IOException {
        var out = new ByteArrayOutputStream();
        Encoder encoder = BLOCKS.blockingBinaryEncoder(out, null);
        new GenericDatumWriter<GenericRecord>(schema).write(record, encoder);
        encoder.flush();
        return out.toByteArray();
    }

    static JsonNode json(Object value) {
        if (value instanceof GenericRecord record) {
            ObjectNode object = JSON.objectNode();
            record.getSchema().getFields().forEach(field -> object.set(field.name(), json(record.get(field.pos()))));
            return object;
        }
        if (value instanceof List<?> list) {
            ArrayNode array = JSON.arrayNode();
            list.forEach(item -> array.add(json(item)));
            return array;
        }
        if (value instanceof CharSequence text) {
            return JSON.textNode(text.toString());
        }
        return MAPPER.valueToTree(value);
    }
}
