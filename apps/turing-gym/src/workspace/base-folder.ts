import { chmod, lstat, mkdir, realpath } from 'node:fs/promises'

/**
 * Makes the folder below which all workspaces lie, and answers its real path.
 *
 * @throws {Error} when somebody else could have put something in its place: it has to be a folder of the gym's own user that no other
 *   can write to
 */
export async function openBaseFolder(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o711 })
  const stat = await lstat(folder)
  if (!stat.isDirectory() || stat.uid !== process.getuid?.()) {
    throw new Error(`GYM_DIR ${folder} is not a folder of the user that the gym runs as`)
  }
  await chmod(folder, 0o711)
  return await realpath(folder)
}
