// The page's script, which contains its worker's, and its style: each one file, into the Python package.
import { build } from "esbuild";

const common = { bundle: true, minify: true, target: "es2022", legalComments: "none", logLevel: "warning" };
const into = "../src/neural_microscope/explorer/static/explorer";

const worker = await build({ ...common, entryPoints: ["src/worker.ts"], write: false, format: "iife", charset: "utf8" });

await build({
  ...common,
  define: { WORKER: JSON.stringify(worker.outputFiles[0].text) },
  entryPoints: ["src/main.tsx"],
  outfile: `${into}.js`,
  format: "iife",
  charset: "utf8",
  jsx: "automatic",
  jsxImportSource: "preact",
});
await build({ ...common, entryPoints: ["src/style.css"], outfile: `${into}.css` });
