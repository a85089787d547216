/**
 * What a tool was asked is not allowed or not possible. The words go to the model, which may try something else; the task
 * goes on.
 */
export class Refused extends Error {
  override readonly name = 'Refused'
}
