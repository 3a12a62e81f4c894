/**
 * Bundles and minifies each widget's script and style into saewidgets/static.
 *
 * A widget is a stem that has both js/src/<stem>.js and saewidgets/widgets/<stem>.py; its style js/src/<stem>.css goes
 * with it. The host of exported pages, js/src/page.js, belongs to saewidgets/export/page.py. A new widget needs no edit
 * here. `--check` writes nothing and fails when a committed file is not what the sources give, or belongs to no widget.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, parse } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { minify } from "terser";
import { PRIVATE, PROPERTIES } from "./names.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const sources = join(here, "src");
const python = join(here, "..", "saewidgets");
const target = join(python, "static");

/**
 * A style without the spaces that esbuild leaves; what stands between quotes stays.
 * @param {string} css
 */
const packed = (css) => css.replace(/"[^"]*"|(--[\w-]+:|,) | (\/) /g, (all, before, slash) => before ?? slash ?? all);

/**
 * A script, smaller than esbuild makes it.
 * @param {string} script
 */
async function smaller(script) {
  const unsafe = { unsafe: true, unsafe_arrows: true, unsafe_methods: true }; // no value of ours has an own valueOf
  const compress = { ...unsafe, passes: 6, hoist_funs: true, pure_getters: true };
  const { code } = await minify(script, { module: true, ecma: 2020, compress });
  return /** @type {string} */ (code);
}

const letters = new RegExp(`--(${PROPERTIES.join("|")})\\b(?!-)`, "g");
/**
 * A script or a style whose custom properties have one letter.
 * @param {string} text
 */
const lettered = (text) =>
  text.replace(letters, (_, name) => `--${String.fromCharCode(97 + PROPERTIES.indexOf(name))}`);

/**
 * Sources of all widgets, sorted.
 * @returns {Promise<string[]>} paths of the scripts and styles
 */
async function entryPoints() {
  const names = existsSync(sources) ? (await readdir(sources)).sort() : [];
  const isWidget = (/** @type {string} */ name) =>
    [".js", ".css"].includes(parse(name).ext) &&
    ["widgets", "export"].some((room) => existsSync(join(python, room, `${parse(name).name}.py`)));
  return names.filter(isWidget).map((name) => join(sources, name));
}

/**
 * Built files by name.
 * @returns {Promise<Map<string, string>>} file name -> text
 */
async function bundle() {
  const entries = await entryPoints();
  if (entries.length === 0) throw new Error("No widget found: no js/src/<stem>.js with saewidgets/widgets/<stem>.py");
  const { outputFiles } = await build({
    entryPoints: entries,
    outdir: target,
    absWorkingDir: here,
    bundle: true,
    minifySyntax: true,
    minifyWhitespace: true,
    write: false,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    mangleProps: PRIVATE,
    logLevel: "warning",
  });
  const files = outputFiles.sort((a, b) => (a.path < b.path ? -1 : 1));
  const texts = files.map(({ path, text }) => (parse(path).ext === ".css" ? packed(text) : smaller(text)));
  const built = (await Promise.all(texts)).map(lettered);
  return new Map(files.map(({ path }, i) => /** @type {const} */ ([parse(path).base, built[i]])));
}

/**
 * Names of the committed files that differ from what the sources give.
 * @param {Map<string, string>} built file name -> text
 * @returns {Promise<string[]>} names, sorted
 */
async function differences(built) {
  const present = existsSync(target) ? (await readdir(target)).filter((name) => /\.(js|css)$/.test(name)) : [];
  const stale = [];
  for (const name of new Set([...built.keys(), ...present])) {
    const text = present.includes(name) ? await readFile(join(target, name), "utf8") : undefined;
    if (text !== built.get(name)) stale.push(name);
  }
  return stale.sort();
}

const built = await bundle();
const stale = await differences(built);
if (process.argv.includes("--check")) {
  if (stale.length > 0) {
    console.error(
      `saewidgets/static is not what js/src gives: ${stale.join(", ")}. Run "make js" and commit the result.`,
    );
    process.exit(1);
  }
} else {
  await mkdir(target, { recursive: true });
  for (const name of stale) {
    const text = built.get(name);
    await (text === undefined ? rm(join(target, name)) : writeFile(join(target, name), text));
  }
}
for (const [name, text] of built) console.log(`${name} ${Buffer.byteLength(text)} bytes`);
