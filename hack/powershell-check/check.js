// Says what of PowerShell scripts cannot be parsed.
//
//	node check.js SCRIPT...
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Language, Parser } from "web-tree-sitter";

await Parser.init();
const parser = new Parser();
parser.setLanguage(await Language.load(fileURLToPath(import.meta.resolve("tree-sitter-powershell/tree-sitter-powershell.wasm"))));

let faults = 0;
const complain = (file, node, text) => {
  faults++;
  console.log(`${file}:${node.startPosition.row + 1}:${node.startPosition.column + 1}: ${text}`);
};

function walk(file, node) {
  if (node.isMissing) complain(file, node, `${node.type} is missing`);
  else if (node.isError) complain(file, node, `cannot be parsed: ${node.text.split("\n")[0].slice(0, 80)}`);
  if (node.hasError) node.children.forEach((child) => walk(file, child));
}

for (const file of process.argv.slice(2)) {
  const tree = parser.parse(readFileSync(file, "utf8"));
  walk(file, tree.rootNode);
  // A parser that understands nothing finds no fault.
  if (tree.rootNode.descendantsOfType("command").length === 0) complain(file, tree.rootNode, "runs nothing");
}
process.exit(faults ? 1 : 0);
