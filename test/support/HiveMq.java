import com.hivemq.embedded.EmbeddedHiveMQ;
import java.nio.file.Files;
import java.nio.file.Path;

/** HiveMQ CE on a loopback port: HiveMq PORT FOLDER. Prints "ready" when it takes connections. */
final class HiveMq {
    /** What it is by default, but for where it keeps things and whom it tells that it runs. */
    private static final String CONFIG = """
            <?xml version="1.0"?>
            <hivemq>
              <listeners>
                <tcp-listener><port>%s</port><bind-address>127.0.0.1</bind-address></tcp-listener>
              </listeners>
              <persistence><mode>in-memory</mode></persistence>
              <anonymous-usage-statistics><enabled>false</enabled></anonymous-usage-statistics>
            </hivemq>
            """;

    /** Held: what is no more reachable is shut down. */
    private static EmbeddedHiveMQ broker;

    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[1]);
        Path conf = Files.createDirectories(folder.resolve("conf"));
        Files.writeString(conf.resolve("config.xml"), CONFIG.formatted(args[0]));
        broker = EmbeddedHiveMQ.builder()
                .withConfigurationFolder(conf)
                .withDataFolder(Files.createDirectories(folder.resolve("data")))
                .withExtensionsFolder(Files.createDirectories(folder.resolve("extensions")))
                .build();
        broker.start().join();
        System.out.println("ready");
        Thread.currentThread().join();
    }
}
