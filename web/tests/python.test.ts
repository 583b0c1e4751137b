import { expect, test } from "vitest";
import { broken } from "../src/python";

test("a wide line of Python is divided at its longest brackets, a comment stands above", () => {
  expect(broken('print("short")')).toEqual(['print("short")']);
  expect(broken('mlp_accuracy = nm.evaluate(mlp_model, mlp_run.probe).accuracy')).toEqual(["mlp_accuracy = nm.evaluate(", "    mlp_model, mlp_run.probe", ").accuracy"]);
  expect(broken('print("MLP (", "predicts", int(mlp_logits.argmax()), "and its accuracy is", mlp_accuracy)')).toEqual([
    "print(", '    "MLP (",', '    "predicts",', "    int(mlp_logits.argmax()),", '    "and its accuracy is",', "    mlp_accuracy,", ")",
  ]);
  expect(broken("    a_variable = something_short[another_variable_with_a_name]")).toEqual(["    a_variable = something_short[", "        another_variable_with_a_name", "    ]"]);
  expect(broken("print(nm.analysis.call(run.model(), ['a) name', 'another']))")).toEqual(["print(", "    nm.analysis.call(", "        run.model(), ['a) name', 'another']", "    ),", ")"]);
  expect(broken('model = nm.hooked(run.model(step=3, into=module))  # module: yours')).toEqual(["# module: yours", "model = nm.hooked(", "    run.model(step=3, into=module)", ")"]);
  expect(broken(`drawn = base64.b64decode("${"A".repeat(60)}")`)).toEqual(["drawn = base64.b64decode(", `    "${"A".repeat(60)}",`, ")"]);
});
