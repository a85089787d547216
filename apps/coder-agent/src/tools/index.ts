import { applyPatch } from './apply-patch.ts'
import { listFiles } from './list-files.ts'
import { readFile } from './read-file.ts'
import { runCommand } from './run-command.ts'
import { search } from './search.ts'
import type { Tool } from './tool.ts'
import { writeFile } from './write-file.ts'

export const TOOLS: readonly Tool[] = [listFiles, search, readFile, applyPatch, writeFile, runCommand]
