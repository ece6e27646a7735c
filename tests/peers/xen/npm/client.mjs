// Drives a pool with Xen Orchestra's client and tells, as one line of JSON, what it saw.
// Settings come as JSON on standard input: module, url, user, password, transport, image (a VHD), size (bytes).
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

const settings = JSON.parse(readFileSync(0, 'utf8'))
const { createClient } = await import(settings.module)

const xapi = createClient({
  url: settings.url,
  auth: { user: settings.user, password: settings.password },
  transport: settings.transport,
  debounce: 1,
})
await xapi.connect()
await xapi.objectsFetched

const seen = {}
const find = (type, label) =>
  Object.values(xapi.objects.all).find(one => one.$type === type && one.name_label === label)
const barrier = ref => xapi.barrier(ref)

const template = find('VM', 'Other install media')
const vm = await xapi.callAsync('VM.clone', template.$ref, 'by xen-api')
await xapi.callAsync('VM.provision', vm)
seen.made = (await barrier(vm)).name_label
await xapi.callAsync('VM.start', vm, false, false)
seen.started = (await barrier(vm)).power_state
const other = Object.values(xapi.objects.all).find(one => one.$type === 'host' && one.$ref !== xapi.getObject(vm).resident_on)
await xapi.callAsync('VM.pool_migrate', vm, other.$ref, { live: 'true' })
seen.moved = (await barrier(vm)).resident_on === other.$ref
await xapi.callAsync('VM.hard_shutdown', vm)
seen.stopped = (await barrier(vm)).power_state
seen.refused = await xapi.callAsync('VM.clean_shutdown', vm).catch(error => [error.code, ...error.params])

const sr = find('SR', 'shared').$ref
const vdi = await xapi.call('VDI.create', {
  name_label: 'by xen-api', SR: sr, virtual_size: settings.size, type: 'user',
  sharable: false, read_only: false, other_config: {},
})
const image = readFileSync(settings.image)
await xapi.putResource(image, '/import_raw_vdi', { query: { vdi, format: 'vhd' }, task: true })
const digest = async format => {
  const answer = await xapi.getResource('/export_raw_vdi', { query: { vdi, format }, task: true })
  const hash = createHash('sha256')
  let length = 0
  for await (const part of answer.body) {
    hash.update(part)
    length += part.length
  }
  await answer.task
  return [hash.digest('hex'), length]
}
seen.raw = await digest('raw')
seen.vhd = (await digest('vhd'))[1]
seen.unknown = await xapi.getResource('/export_raw_vdi', { query: { vdi, format: 'vmdk' }, task: true }).catch(
  error => error.response?.statusCode ?? error.code
)
await xapi.call('VDI.destroy', vdi)
await xapi.callAsync('VM.destroy', vm)
await xapi.barrier()
seen.left = Object.values(xapi.objects.all).filter(one => one.name_label === 'by xen-api').length

await xapi.disconnect()
process.stdout.write(JSON.stringify(seen) + '\n')
process.exit(0)
