import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { canEnter, serverAccount } from './account.ts'
import { StackError } from './errors.ts'

/** Where the files of the servers live for the checkout at `root`. */
export interface DataHome {
  readonly dir: string
  /** Why it is not `<root>/.hypercode`; undefined when it is. */
  readonly moved: string | undefined
}

/**
 * `<root>/.hypercode`, or, when the account that the servers run as cannot enter that (a clone in /root),
 * a folder of its own in /var/tmp. Creates the folder.
 */
export function dataHome(root: string): DataHome {
  const own = path.join(root, '.hypercode')
  mkdirSync(own, { recursive: true })
  if (canEnter(serverAccount(), own)) return { dir: own, moved: undefined }
  const hash = createHash('sha256').update(realpathSync(root)).digest('hex').slice(0, 12)
  const dir = path.join('/var/tmp', `hypercode-${hash}`)
  mkdirSync(dir, { recursive: true, mode: 0o755 })
  mustBeOurs(dir)
  chmodSync(dir, 0o755)
  return { dir, moved: `the account that runs the servers cannot enter ${root}, so their files are in ${dir}` }
}

// The name can be guessed and everybody may write to /var/tmp: somebody else's folder or link must not be used.
function mustBeOurs(dir: string): void {
  const stat = lstatSync(dir)
  if (!stat.isDirectory() || stat.uid !== process.getuid?.() || (stat.mode & 0o022) !== 0) {
    throw new StackError(`${dir} exists and is not a folder of ours: remove it, then run this again`)
  }
}
