import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Date;
import java.util.TimeZone;
import org.quartz.CronExpression;

/**
 * How long one getTimeAfter of Quartz takes, asked over a pipe by bench_quartzcron.py.
 *
 * The first line has the starts, as milliseconds since 1970. Each other line is `zone TAB milliseconds TAB expression`
 * and is answered by the nanoseconds of processor time that a call takes, on average over that many milliseconds.
 */
public final class QuartzBench {
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    private static long sink;

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Date[] starts = Arrays.stream(in.readLine().trim().split(" "))
                .map(text -> new Date(Long.parseLong(text)))
                .toArray(Date[]::new);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] parts = line.split("\t");
            CronExpression expression = new CronExpression(parts[2]);
            expression.setTimeZone(TimeZone.getTimeZone(parts[0]));
            System.out.println(measure(expression, starts, Long.parseLong(parts[1]) * 1_000_000));
            System.out.flush();
        }
        System.err.println("checksum " + sink);
    }

    private static double measure(CronExpression expression, Date[] starts, long budget) {
        long began = THREADS.getCurrentThreadCpuTime();
        long asked = 0;
        while (true) {
            for (int i = 0; i < 10; i++) {
                Date fire = expression.getTimeAfter(starts[(int) (asked++ % starts.length)]);
                sink += fire == null ? 1 : fire.getTime();
                if (fire == null) {
                    break;
                }
            }
            long spent = THREADS.getCurrentThreadCpuTime() - began;
            if (spent > budget) {
                return (double) spent / asked;
            }
        }
    }
}
