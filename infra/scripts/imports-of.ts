/** What a module imports or re-exports, statically or by a literal `import()`, as it is written there. */
export function importsOf(source: string): string[] {
  const code = maskTemplatesAndComments(source)
  const patterns = [
    /^\s*(?:import|export)\b[^'"`;()]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^\s*import\s*['"]([^'"]+)['"]/gm,
    /\bimport\s*\(\s*['"]([^'"]+)['"]/g,
  ]
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map(([, specifier = '']) => specifier))
}

/**
 * Blanks comments and template literals, which may hold code that is only talked about. Quoted strings stay: they end on
 * their line, and the patterns above ask for an import in front of them.
 */
function maskTemplatesAndComments(source: string): string {
  const token = /\/\/[^\n]*|\/\*[^]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[^]|[^`\\])*`/g
  return source.replace(token, (text) =>
    text.startsWith("'") || text.startsWith('"') ? text : text.replace(/[^\n]/g, ' '),
  )
}
