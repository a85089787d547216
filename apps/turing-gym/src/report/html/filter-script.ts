/** Filters the table of samples. Without it the page shows all of them; the fields appear only when it runs. */
export const FILTER_SCRIPT = `
(() => {
  const form = document.querySelector('.filter')
  if (form === null) return
  const [text, state, count] = [form.querySelector('input'), form.querySelector('select'), form.querySelector('output')]
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
  form.addEventListener('submit', (event) => event.preventDefault())
  form.addEventListener('input', show)
  form.hidden = false
  show()
})()
`
