/**
 * Filters the table of samples. Without it the page shows all of them; the fields appear only when it runs. They stand in no form, since
 * the policy of the page lets none be sent, and a browser would complain at every Enter.
 */
export const FILTER_SCRIPT = `
(() => {
  const filter = document.querySelector('.filter')
  if (filter === null) return
  const [text, state, count] = [filter.querySelector('input'), filter.querySelector('select'), filter.querySelector('output')]
  const rows = [...document.querySelectorAll('#samples tbody tr')].map((row) => ({ row, state: row.dataset.state, text: row.textContent.toLowerCase() }))
  const show = () => {
    const words = text.value.toLowerCase().split(/\\s+/).filter((word) => word !== '')
    let shown = 0
    for (const one of rows) {
      const isShown = (state.value === '' || one.state === state.value) && words.every((word) => one.text.includes(word))
      one.row.hidden = !isShown
      if (isShown) shown += 1
    }
    count.value = shown === rows.length ? rows.length + ' samples' : shown + ' of ' + rows.length + ' samples'
  }
  filter.addEventListener('input', show)
  filter.hidden = false
  show()
})()
`
