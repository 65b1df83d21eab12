import { useState } from 'react';
import { useAction, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { AuditPage as Events } from '../../shared/api/types.ts';
import { Empty, Failure, Loading } from '../../shared/ui/Notice.tsx';
import { Page } from '../../shared/ui/Page.tsx';
import { EventTable } from './EventTable.tsx';
import { csvAddress, FilterForm, filterOf, pageAddress, type Filter } from './FilterForm.tsx';
import { Verify } from './Verify.tsx';

/** The audit trail: who saw what, who did what. The filter is in the address, but for patients. */
export function AuditPage({ query }: { query: URLSearchParams }) {
  const filter = filterOf(query);
  const [patient, setPatient] = useState('');
  return (
    <Page
      title="Audit trail"
      lead="Who saw, changed or sent what. It cannot be changed; reading it is recorded too."
      actions={
        <a className="button" href={csvAddress(filter)} download="audit.csv">
          Download as CSV
        </a>
      }
    >
      <FilterForm filter={filter} patient={patient} onPatient={setPatient} />
      <Verify />
      {patient === '' ? (
        <Listed filter={filter} before={query.get('before')} />
      ) : (
        <OfPatient key={patient} patient={patient} filter={filter} />
      )}
    </Page>
  );
}

function Listed({ filter, before }: { filter: Filter; before: string | null }) {
  const list = new URLSearchParams(filter);
  list.set('limit', '50');
  if (before !== null) {
    list.set('before', before);
  }
  const events = useResource<Events>(`api/audit?${list.toString()}`);
  if (events.data === undefined) {
    return events.error === null ? <Loading /> : <Failure error={events.error} />;
  }
  const { events: found, before: next } = events.data;
  return (
    <>
      {found.length === 0 ? (
        <Empty>Nothing was recorded that matches. Take a filter away, or look at another time.</Empty>
      ) : (
        <EventTable events={found} />
      )}
      <nav className="pager" aria-label="Pages of the trail">
        {before !== null && (
          <a className="button" href={pageAddress(filter)}>
            Newest
          </a>
        )}
        {next !== null && (
          <a className="button" href={pageAddress(filter, next)}>
            Older
          </a>
        )}
      </nav>
    </>
  );
}

/** Patients are named in the body of a request: addresses are kept in logs and histories. */
function OfPatient({ patient, filter }: { patient: string; filter: Filter }) {
  const { kind, failures, ...rest } = filter;
  const search = useAction<number | undefined, Events>((before) =>
    send('POST', 'api/audit/search', {
      ...rest,
      patient_id: patient,
      kinds: kind === undefined ? [] : kind.split(','),
      failures: failures === 'true',
      limit: 200,
      before: before ?? null,
    }),
  );
  return (
    <>
      <p>
        <button type="button" disabled={search.isPending} onClick={() => search.mutate(undefined)}>
          Show everything about this patient
        </button>
      </p>
      <Failure error={search.error} />
      {search.data !== undefined && (
        <Found page={search.data} onOlder={(before) => search.mutate(before)} />
      )}
    </>
  );
}

function Found({ page, onOlder }: { page: Events; onOlder: (before: number) => void }) {
  const { events, before } = page;
  if (events.length === 0) {
    return <Empty>Nothing was recorded about this patient.</Empty>;
  }
  return (
    <>
      <EventTable events={events} />
      {before !== null && (
        <p>
          <button type="button" className="quiet" onClick={() => onOlder(before)}>
            Older
          </button>
        </p>
      )}
    </>
  );
}
