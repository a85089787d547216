import { Type } from '@sinclair/typebox'
import { Refused } from '../workspace/refused.ts'
import { filePath } from '../workspace/tree-path.ts'
import { storable } from './bounded-text.ts'
import { defineTool } from './tool.ts'

const LINES_MAX = 400

export const readFile = defineTool({
  name: 'read_file',
  description: `Reads a text file of the repository, line by line with numbers, at most ${LINES_MAX} lines at once.`,
  input: Type.Object(
    {
      path: Type.String({ minLength: 1, maxLength: 1024, description: 'relative to the root of the repository' }),
      fromLine: Type.Optional(Type.Integer({ minimum: 1, description: 'default 1' })),
      lines: Type.Optional(Type.Integer({ minimum: 1, maximum: LINES_MAX, description: `default ${LINES_MAX}` })),
    },
    { additionalProperties: false },
  ),
  async run({ path: asked, fromLine = 1, lines: count = LINES_MAX }, { workspace }) {
    const path = filePath(asked)
    const entry = await workspace.entry(path)
    if (entry === undefined) throw new Refused(`there is no file ${path}`)
    if (entry.kind !== 'file') throw new Refused(`${path} is a ${entry.kind}`)
    if (entry.bytes > FILE_MAX_BYTES)
      throw new Refused(`${path} has ${entry.bytes} bytes, too many to be read; search it`)
    const bytes = await workspace.read(entry)
    if (bytes.subarray(0, 8000).includes(0)) throw new Refused(`${path} is binary`)
    const lines = bytes.toString('utf8').split('\n')
    if (lines.at(-1) === '') lines.pop()
    if (fromLine > Math.max(1, lines.length)) throw new Refused(`${path} has only ${lines.length} lines`)
    const shown: string[] = []
    let size = 0
    for (const [index, line] of lines.slice(fromLine - 1, fromLine - 1 + count).entries()) {
      const text = `${fromLine + index}\t${storable(line).slice(0, LINE_MAX)}`
      size += text.length
      if (size > TEXT_MAX) break
      shown.push(text)
    }
    const last = fromLine - 1 + shown.length
    const range = lines.length === 0 ? 'empty' : `lines ${fromLine} to ${last} of ${lines.length}`
    return { text: [`${path}, ${range}`, ...shown].join('\n') }
  },
})

const LINE_MAX = 2000
const TEXT_MAX = 40_000
const FILE_MAX_BYTES = 2 * 1024 * 1024
