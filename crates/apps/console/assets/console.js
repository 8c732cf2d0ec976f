// The console's only script. Everything can be read without it, and every action has a command.
'use strict';
(() => {
  const root = document.documentElement;
  const themes = ['auto', 'light', 'dark'];
  const kept = () => {
    try { return localStorage.getItem('theme') || 'auto'; } catch { return 'auto'; }
  };
  const setTheme = (theme) => {
    if (theme === 'auto') delete root.dataset.theme;
    else root.dataset.theme = theme;
    try { localStorage.setItem('theme', theme); } catch { /* private windows keep nothing */ }
    const button = document.getElementById('theme');
    if (button) button.textContent = 'Theme: ' + theme;
  };
  root.classList.add('js');
  // Before the first paint, so that nothing flashes.
  if (kept() !== 'auto') root.dataset.theme = kept();

  // Ages grow while a page stays open. The words are those of the server.
  const brief = (s) => s < 60 ? s + ' s' : s < 3600 ? Math.floor(s / 60) + ' min'
    : s < 172800 ? Math.floor(s / 3600) + ' h' : Math.floor(s / 86400) + ' d';
  let skew = 0;
  const tick = () => {
    for (const one of document.querySelectorAll('time[data-age]')) {
      const s = Math.round((Date.now() - skew - Date.parse(one.dateTime)) / 1000);
      if (Number.isFinite(s)) one.textContent = s < 0 ? 'in ' + brief(-s) : brief(s) + ' ago';
    }
  };

  const copy = async (button) => {
    const from = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
    const text = from ? from.textContent : button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch { button.textContent = 'Copy failed'; }
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  };

  const complain = (text) => {
    const place = document.getElementById('command-error');
    if (!place) return;
    place.textContent = text;
    place.hidden = !text;
  };

  const confirmed = (id) => new Promise((resolve) => {
    const dialog = document.getElementById(id);
    dialog.returnValue = '';
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'confirm'), { once: true });
    dialog.showModal();
  });

  const command = async (button) => {
    if (button.dataset.confirm && !(await confirmed(button.dataset.confirm))) return;
    complain('');
    button.disabled = true;
    try {
      const answer = await fetch(button.dataset.command,
        { method: 'POST', credentials: 'same-origin', headers: { Accept: 'application/json' } });
      if (answer.ok) {
        // The live stream brings the new state; without one, the page does.
        if (!stream || stream.readyState !== EventSource.OPEN) location.reload();
      } else {
        const problem = await answer.json().catch(() => ({}));
        const parts = [problem.detail || problem.title || 'the server answered ' + answer.status];
        if (problem.hint) parts.push('hint: ' + problem.hint);
        complain(parts.join('; '));
      }
    } catch { complain('the server cannot be reached; hint: check the connection and try again'); }
    button.disabled = false;
  };

  let stream = null;
  const watch = (region) => {
    let told = region.querySelector('[data-announce]')?.dataset.announce;
    const state = (text, tone) => {
      const place = document.getElementById('link-state');
      if (place) { place.textContent = text; place.className = 'link-state ' + tone; }
    };
    stream = new EventSource(region.dataset.live);
    stream.onopen = () => state('live', 'good');
    stream.onerror = () => state('reconnecting…', 'care');
    stream.onmessage = (message) => {
      // What a person holds stays: focus, open details, and the last complaint.
      const focus = document.activeElement && region.contains(document.activeElement) ? document.activeElement.id : '';
      const open = [...region.querySelectorAll('details')].map((one) => one.open);
      const complaint = document.getElementById('command-error')?.textContent;
      region.innerHTML = message.data;
      region.querySelectorAll('details').forEach((one, place) => { one.open = Boolean(open[place]); });
      if (focus) document.getElementById(focus)?.focus();
      if (complaint) complain(complaint);
      state('live', 'good');
      const tell = region.querySelector('[data-announce]')?.dataset.announce;
      const place = document.getElementById('announce');
      if (place && tell && tell !== told) place.textContent = tell;
      told = tell;
    };
  };

  const go = (path) => { location.href = path; };
  let chord = false;
  const key = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select, dialog')) return;
    if (chord) {
      chord = false;
      const link = document.querySelector('nav a[data-key="' + CSS.escape(event.key) + '"]');
      if (link) { event.preventDefault(); go(link.getAttribute('href')); }
      return;
    }
    if (event.key === '/') {
      event.preventDefault();
      const box = document.getElementById('filter');
      if (box) { box.focus(); box.select(); } else go('/devices#filter');
    } else if (event.key === '?') {
      document.getElementById('help')?.showModal();
    } else if (event.key === 'g') {
      chord = true;
      setTimeout(() => { chord = false; }, 1200);
    }
  };

  document.addEventListener('DOMContentLoaded', () => {
    setTheme(kept());
    const now = document.querySelector('footer.updated time');
    if (now) skew = Date.now() - Date.parse(now.dateTime);
    setInterval(tick, 5000);
    document.addEventListener('keydown', key);
    document.addEventListener('click', (event) => {
      const button = event.target.closest('button');
      if (!button) return;
      if (button.dataset.copy || button.dataset.copyFrom) copy(button);
      else if (button.dataset.command) command(button);
      else if (button.id === 'theme') setTheme(themes[(themes.indexOf(kept()) + 1) % themes.length]);
      else if (button.id === 'help-open') document.getElementById('help').showModal();
    });
    if (location.hash === '#filter') document.getElementById('filter')?.focus();
    const region = document.querySelector('[data-live]');
    if (region) watch(region);
  });
})();
