package hello;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A greeting, with what the function can see of where it runs.
 *
 * <pre>
 * Package it:  mvn package
 * Deploy it:   aws lambda create-function --function-name hello --runtime java21 --handler hello.App::handleRequest \
 *                  --role arn:aws:iam::000000000000:role/hello --zip-file fileb://target/hello.jar
 * Invoke it:   aws lambda invoke --function-name hello --payload fileb://event.json answer.json
 * </pre>
 */
public class App implements RequestHandler<Map<String, String>, Map<String, Object>> {
    @Override
    public Map<String, Object> handleRequest(Map<String, String> event, Context context) {
        String name = event == null ? "world" : event.getOrDefault("name", "world");
        context.getLogger().log("greeting " + name + ", request " + context.getAwsRequestId() + "\n");
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("message", "Hello, " + name + "!");
        answer.put("function", context.getFunctionName());
        answer.put("version", context.getFunctionVersion());
        answer.put("memory", context.getMemoryLimitInMB() + " MB");
        answer.put("java", System.getProperty("java.version"));
        answer.put("architecture", System.getProperty("os.arch"));
        answer.put("remainingMilliseconds", context.getRemainingTimeInMillis());
        return answer;
    }
}
