// The page's script and style, each one file, into the Python package.
import { build } from "esbuild";

const common = { bundle: true, minify: true, target: "es2022", legalComments: "none", logLevel: "warning" };
const into = "../src/neural_microscope/explorer/static/explorer";

await build({
  ...common,
  entryPoints: ["src/main.tsx"],
  outfile: `${into}.js`,
  format: "iife",
  charset: "utf8",
  jsx: "automatic",
  jsxImportSource: "preact",
});
await build({ ...common, entryPoints: ["src/style.css"], outfile: `${into}.css` });
