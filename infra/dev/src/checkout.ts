import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { dataHome } from '@hypercode/local-stack'

/** The root of this repository. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '')

/**
 * What runs leave behind: state, credentials, logs, reports. Never committed. HYPERCODE_HOME names another folder, and with
 * it a second platform of the same checkout: its own servers, data and ports.
 */
export const HYPERCODE_DIR = path.resolve(process.env['HYPERCODE_HOME'] || path.join(ROOT, '.hypercode'))

export const STATE_FILE = path.join(HYPERCODE_DIR, 'state.json')
export const CREDENTIALS_FILE = path.join(HYPERCODE_DIR, 'credentials.json')
export const LOG_DIR = path.join(HYPERCODE_DIR, 'logs')
export const COMPOSE_FILE = path.join(ROOT, 'infra/deploy/compose.yaml')

/** Where the private servers keep their files; not always in the repository, see `dataHome`. */
export interface ServerFolders {
  readonly stackDir: string
  readonly runtimeDir: string
  /** Why it is elsewhere; undefined when it is not. */
  readonly moved: string | undefined
}

export function serverFolders(): ServerFolders {
  mkdirSync(HYPERCODE_DIR, { recursive: true })
  const { dir, moved } = dataHome(ROOT)
  // What was fetched serves every platform of the checkout; data belongs to one.
  const runtimeDir = path.join(dir, 'runtime')
  if (HYPERCODE_DIR !== path.join(ROOT, '.hypercode')) {
    return { stackDir: path.join(HYPERCODE_DIR, 'stack'), runtimeDir, moved: undefined }
  }
  return { stackDir: path.join(dir, 'stack'), runtimeDir, moved }
}

/** A path as a person wrote it: relative to where they stood when they called npm. */
export function fromCaller(file: string): string {
  return path.resolve(process.env['INIT_CWD'] ?? process.cwd(), file)
}
