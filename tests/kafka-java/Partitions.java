// Prints the partition that Kafka's own producer gives each key, a line each. Arguments: the number of partitions, keys.

import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

public class Partitions {
    public static void main(String[] arguments) {
        int partitions = Integer.parseInt(arguments[0]);
        for (int at = 1; at < arguments.length; at++) {
            byte[] key = arguments[at].getBytes(StandardCharsets.UTF_8);
            System.out.println(BuiltInPartitioner.partitionForKey(key, partitions));
        }
    }
}
