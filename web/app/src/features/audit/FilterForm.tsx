import { useState } from 'react';
import { go } from '../../shared/router.ts';
import { Check, Choice, Field } from '../../shared/ui/Field.tsx';
import { KINDS } from './kinds.ts';

const NAMES = ['person', 'study', 'ae', 'address', 'from', 'until', 'kind', 'failures'] as const;

/** What is asked for, as the server's parameters; nothing where nothing is asked. */
export type Filter = Partial<Record<(typeof NAMES)[number], string>>;

export function filterOf(query: URLSearchParams): Filter {
  const filter: Filter = {};
  for (const name of NAMES) {
    const value = query.get(name);
    if (value !== null && value !== '') {
      filter[name] = value;
    }
  }
  return filter;
}

export function pageAddress(filter: Filter, before?: number): string {
  const query = new URLSearchParams(filter);
  if (before !== undefined) {
    query.set('before', String(before));
  }
  const text = query.toString();
  return text === '' ? '#/audit' : `#/audit?${text}`;
}

export function csvAddress(filter: Filter): string {
  const query = new URLSearchParams(filter);
  query.set('accept', 'text/csv');
  return `api/audit?${query.toString()}`;
}

/** Who, what, when. */
export function FilterForm({
  filter,
  patient,
  onPatient,
}: {
  filter: Filter;
  patient: string;
  onPatient: (patient: string) => void;
}) {
  const [wanted, setWanted] = useState(filter);
  const [wantedPatient, setWantedPatient] = useState(patient);
  const set = (name: keyof Filter, value: string) => {
    setWanted(filterOf(new URLSearchParams({ ...wanted, [name]: value })));
  };
  const text = (name: keyof Filter, label: string, placeholder?: string) => (
    <Field
      label={label}
      placeholder={placeholder}
      autoComplete="off"
      spellCheck={false}
      value={wanted[name] ?? ''}
      onChange={(event) => set(name, event.target.value.trim())}
    />
  );
  return (
    <form
      className="card filters"
      role="search"
      aria-label="Filter of the trail"
      onSubmit={(event) => {
        event.preventDefault();
        onPatient(wantedPatient.trim());
        go(pageAddress(wanted).slice(1));
      }}
    >
      <div className="columns">
        {text('person', 'What did this person do', 'Login')}
        {text('study', 'Who saw this study', 'Study Instance UID')}
        <Field
          label="Who saw this patient"
          placeholder="Patient ID"
          autoComplete="off"
          spellCheck={false}
          value={wantedPatient}
          onChange={(event) => setWantedPatient(event.target.value)}
        />
        <Choice label="What" value={wanted.kind ?? ''} onChange={(event) => set('kind', event.target.value)}>
          <option value="">Anything</option>
          {KINDS.map(({ kind, label }) => (
            <option key={kind} value={kind}>
              {label}
            </option>
          ))}
        </Choice>
        <Field
          label="From"
          type="date"
          value={wanted.from ?? ''}
          onChange={(event) => set('from', event.target.value)}
        />
        <Field
          label="Before"
          type="date"
          value={wanted.until ?? ''}
          onChange={(event) => set('until', event.target.value)}
        />
        {text('ae', 'Calling AE title')}
        {text('address', 'Network address')}
      </div>
      <div className="buttons">
        <Check
          label="Only what failed or was refused"
          checked={wanted.failures === 'true'}
          onChange={(event) => set('failures', event.target.checked ? 'true' : '')}
        />
        <button type="submit">Filter</button>
        <a className="button" href="#/audit" onClick={() => onPatient('')}>
          Clear
        </a>
      </div>
    </form>
  );
}
