package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.google.gson.Gson;
import java.util.LinkedHashMap;
import java.util.Map;

/** Answers with what it was told, through a library of its own package. */
public class Handler implements RequestHandler<Map<String, Object>, Map<String, Object>> {
    @Override
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
        context.getLogger().log("java was asked\n");
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("echo", new Gson().toJson(event));
        answer.put("function", context.getFunctionName());
        answer.put("version", context.getFunctionVersion());
        answer.put("java", System.getProperty("java.specification.version"));
        answer.put("remaining", context.getRemainingTimeInMillis() > 0);
        return answer;
    }
}
