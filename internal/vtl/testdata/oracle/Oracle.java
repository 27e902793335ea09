import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.velocity.VelocityContext;
import org.apache.velocity.app.VelocityEngine;
import org.apache.velocity.runtime.log.NullLogChute;

/**
 * Runs templates through Apache Velocity 1.7. Each argument is a file of cases;
 * the answers go to the file's name with ".golden" in place of ".cases".
 *
 * A case is "=== name", an optional line "model: JSON object", and the template
 * up to the next "===". The answer has the same name and the output, or one line
 * "!error" where Velocity refuses the template or fails in running it.
 */
public final class Oracle {
  public static void main(String[] files) throws Exception {
    for (String file : files) {
      String text = new String(Files.readAllBytes(Paths.get(file)), StandardCharsets.UTF_8);
      StringBuilder answers = new StringBuilder();
      for (String part : text.split("(?m)^=== ")) {
        if (part.isEmpty() || part.startsWith("#")) {
          continue;
        }
        int line = part.indexOf('\n');
        String name = part.substring(0, line);
        String template = part.substring(line + 1);
        Map<String, Object> model = new LinkedHashMap<>();
        if (template.startsWith("model: ")) {
          int end = template.indexOf('\n');
          model = (Map<String, Object>) new Json(template.substring(7, end)).value();
          template = template.substring(end + 1);
        }
        // The newline before the next "===" belongs to the format.
        template = template.endsWith("\n") ? template.substring(0, template.length() - 1) : template;
        answers.append("=== ").append(name).append('\n').append(run(template, model)).append('\n');
      }
      Path golden = Paths.get(file.replaceAll("\\.cases$", ".golden"));
      Files.write(golden, answers.toString().getBytes(StandardCharsets.UTF_8));
    }
  }

  private static String run(String template, Map<String, Object> model) {
    try {
      // Macros belong to the engine: each case has its own.
      VelocityEngine engine = new VelocityEngine();
      engine.setProperty("runtime.log.logsystem", new NullLogChute());
      engine.setProperty("velocimacro.library", "");
      engine.init();
      StringWriter out = new StringWriter();
      VelocityContext context = new VelocityContext(model);
      if (!engine.evaluate(context, out, "case", template)) {
        return "!error";
      }
      return out.toString();
    } catch (Throwable e) {
      if (System.getenv("VERBOSE") != null) {
        System.err.println(e);
      }
      return "!error";
    }
  }

  /** The JSON that the models need, no more. */
  private static final class Json {
    private final String text;
    private int pos;

    Json(String text) {
      this.text = text;
    }

    Object value() {
      blanks();
      char c = text.charAt(pos);
      if (c == '{') {
        Map<String, Object> map = new LinkedHashMap<>();
        for (pos++; !take('}'); take(',')) {
          blanks();
          String key = string();
          take(':');
          map.put(key, value());
        }
        return map;
      } else if (c == '[') {
        List<Object> list = new ArrayList<>();
        for (pos++; !take(']'); take(',')) {
          list.add(value());
        }
        return list;
      } else if (c == '"') {
        return string();
      }
      int start = pos;
      while (pos < text.length() && ",]} ".indexOf(text.charAt(pos)) < 0) {
        pos++;
      }
      return scalar(text.substring(start, pos));
    }

    private static Object scalar(String word) {
      switch (word) {
        case "null":
          return null;
        case "true":
          return true;
        case "false":
          return false;
        default:
          if (word.matches("-?\\d{1,9}")) {
            return Integer.valueOf(word);
          }
          return word.matches("-?\\d+") ? (Object) Long.valueOf(word) : (Object) Double.valueOf(word);
      }
    }

    private String string() {
      StringBuilder s = new StringBuilder();
      for (pos++; text.charAt(pos) != '"'; pos++) {
        char c = text.charAt(pos);
        if (c == '\\') {
          c = text.charAt(++pos);
          c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        s.append(c);
      }
      pos++;
      return s.toString();
    }

    private boolean take(char c) {
      blanks();
      if (text.charAt(pos) != c) {
        return false;
      }
      pos++;
      return true;
    }

    private void blanks() {
      while (pos < text.length() && text.charAt(pos) == ' ') {
        pos++;
      }
    }
  }
}
