import type { AuditEvent } from '../../shared/api/types.ts';
import { counted, timeOfText } from '../../shared/format.ts';
import { Table } from '../../shared/ui/Table.tsx';
import { inWords } from './kinds.ts';

/** Events, the newest first. */
export function EventTable({ events }: { events: readonly AuditEvent[] }) {
  return (
    <Table
      label="Events"
      head={['When', 'Who', 'What', 'About', 'From']}
      rows={events.map((event) => ({
        key: String(event.sequence),
        cells: [
          <span key="when" className="fixed" title={`Event ${event.sequence}`}>
            {timeOfText(event.at)}
          </span>,
          <Who key="who" event={event} />,
          <What key="what" event={event} />,
          <About key="about" event={event} />,
          [event.actor.door, event.actor.address].filter(Boolean).join(' · '),
        ],
      }))}
    />
  );
}

function Who({ event }: { event: AuditEvent }) {
  const { user, calling_ae: ae, credential, roles = [] } = event.actor;
  return (
    <>
      {user !== undefined && <a href={`#/audit?person=${encodeURIComponent(user)}`}>{user}</a>}
      {ae !== undefined && (
        <a href={`#/audit?ae=${encodeURIComponent(ae)}`}>
          <code>{ae}</code>
        </a>
      )}
      {user === undefined && ae === undefined && <span className="weak">nobody known</span>}
      <span className="weak line">{[credential, roles.join(', ')].filter(Boolean).join(' · ')}</span>
    </>
  );
}

function What({ event }: { event: AuditEvent }) {
  return (
    <>
      {inWords(event.kind)}
      {event.outcome !== 0 && <span className="chip bad">failed</span>}
      {event.summary !== undefined && <span className="weak line">{counted(event.summary.accesses, 'time')}</span>}
      {event.text !== undefined && <span className="line">{event.text}</span>}
      {event.reason !== undefined && <span className="line">Reason: {event.reason}</span>}
    </>
  );
}

function About({ event }: { event: AuditEvent }) {
  const { patient, studies = [], question, subject, other, before, after } = event;
  return (
    <>
      {patient !== undefined && (
        <span className="line">
          Patient {patient.id} {patient.issuer !== undefined && <span className="weak">({patient.issuer})</span>}
        </span>
      )}
      {studies.map((study) => (
        <span className="line" key={study.uid}>
          Study{' '}
          <a href={`#/audit?study=${study.uid}`}>
            <code>{study.uid}</code>
          </a>
          {study.instances !== undefined && <span className="weak"> {counted(study.instances, 'instance')}</span>}
        </span>
      ))}
      {question !== undefined && (
        <span className="line">
          {question.of} <code>{question.text}</code>
        </span>
      )}
      {subject !== undefined && (
        <span className="line">
          {subject.what} {subject.id}
        </span>
      )}
      {other !== undefined && <span className="line">{other}</span>}
      {(before !== undefined || after !== undefined) && (
        <details>
          <summary>Before and after</summary>
          <dl className="change">
            <dt>Before</dt>
            <dd>
              <pre>{before === undefined ? '–' : JSON.stringify(before, null, 1)}</pre>
            </dd>
            <dt>After</dt>
            <dd>
              <pre>{after === undefined ? '–' : JSON.stringify(after, null, 1)}</pre>
            </dd>
          </dl>
        </details>
      )}
    </>
  );
}
