"""Wording of the furniture of web pages: one pattern for each kind, in the languages we have pages of.

A match is a hint: `outline` weighs it with what stands around a line. Patterns are short and general; none is
there for one site.
"""

import re

_NETWORKS = (
    r"facebook|twitter|instagram|linked ?in|whats ?app|telegram|pinterest|reddit|tumblr|google ?(?:\+|plus)"
    r"|flipboard|pocket|messenger|viber|skype|vk(?:ontakte)?|вконтакте|одноклассники|odnoklassniki|xing"
    r"|digg"
    r"|stumbleupon|blogger|snapchat|tiktok|threads|mastodon|bluesky|youtube|kakao\w*|weibo|微博|微信"
    r"|x\.com|rss"
    r"|flickr|vimeo|discord|트위터|페이스북"
)
_SHARING = (
    r"shares?|sharing|tweets?|pin|pin it|e-?mail(?: me)?|mail|print|copy(?: link)?|link|save|likes?"
    r"|bookmark|send"
    r"|follow|subscribe|comment|via|on|to|this|with|by|and|story|article|post|page|friends|us|it|a|the|all"
    r"|options?|more|flip|teilen|drucken|merken|auf|per|partager|imprimer|envoyer|sur|par|compartir"
    r"|imprimir"
    r"|enviar|en|por|compartilhe?|compartilhar|no|condividi|stampa|invia|su|поделиться|печать|отправить|в"
    r"|на"
    r"|공유|공유하기|인쇄|인쇄하기|목록|分享|打印|シェア|ツイート|印刷|共有|bagikan|cetak|مشاركة|شارك"
    r"|طباعة|delen|deel|artikel|afdrukken|dela|del|paylaş|yazdır|udostępnij|drukuj|copiar|enlace|copier"
    r"|lien|kopieren"
)
_MONTHS = (
    r"jan(?:uary|uar|vier|eiro|uari)?|feb(?:ruary|ruar|brero|braio|ruari)?|fév(?:rier)?|fevereiro"
    r"|mar(?:ch|s|zo|ço|et)?|märz|apr(?:il|ile)?|avr(?:il)?|abr(?:il)?|ma[iy]|mayo|maggio|maio|mei|june?"
    r"|juni"
    r"|juin|junio|junho|giugno|july?|juli|juillet|julio|julho|luglio|aug(?:ust)?|août|agosto|agustus"
    r"|sept?(?:ember|embre|iembre)?|setembro|settembre|o[ck]t(?:ober|obre|ubre)?|outubro|ottobre"
    r"|nov(?:ember|embre|iembre|embro)?|de[csz](?:ember|embre|iembre|embro)?|déc(?:embre)?|dic(?:iembre"
    r"|embre)?"
    r"|январ[ья]|феврал[ья]|марта?|апрел[ья]|ма[йя]|июн[ья]|июл[ья]|августа?|сентябр[ья]|октябр[ья]"
    r"|ноябр[ья]"
    r"|декабр[ья]"
)
_AGO = r"\d+ (?:seconds?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?) ago"
_NUMERIC_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{2,4}"

_PATTERNS = {
    # Atomic groups: "pin it" is also "pin" and "it", "1.5" also "1" and "5", and a line of such would be
    # tried in all ways, of which there are 2 to the power of their number.
    "share buttons": rf"^\W*+(?>(?:{_NETWORKS}|{_SHARING}"
    r"|\d++(?:[.,]\d++)?+k?+)\b\W*+)++$"
    r"|^(?:click to )?(?:share|tweet|pin|email|teilen|partager|compartir|compartilh\w+|condivid\w+"
    r"|поделиться|udostępnij|deel)\b"
    rf"(?=.{{0,60}}$)(?:.*\b(?:{_NETWORKS}|e-?mail|this|friends?|story|article|post|page|link)\b|\s*:?$)"
    r"|^.{0,30}\b(?:['’]?(?:ta|da|te|de) paylaş|(?:を)?シェア(?:する)?)$"
    r"|^print (?:this|article|page|story)|^(?:copy|get) (?:short |the )?(?:link|url)",
    "call to action": r"\b(?:subscribe|subscription|newsletters?|sign(?:ing)? up|inbox|unsubscribe"
    r"|abonnieren"
    r"|abonnez|suscr[ií]b\w+|bolet[ií]n|iscriviti|assine|inscreva|подпи[сш]\w+|рассылк\w+|berlangganan"
    r"|abone ol|abonneer"
    r"|inschrijven|zapisz się|prenumerera|apúntate|apuntarte|receba notícias|cadastre-se)\b"
    r"|订阅|購読|구독|اشترك|\bclick (?:on )?(?:the |this )?(?:links?|here|below|to|image)\b"
    r"|^(?:watch|see|listen to|view) (?:the |our |more )?(?:videos?|podcast|gallery|slideshow|full)\b"
    r"|\b(?:follow|like|join|find|visit|connect with|contact|email|support|tell|add|write to) (?:us|our"
    r"|me)\b"
    r"|\b(?:download|get|install|try) (?:the|our) .{0,25}\bapp\b|\b(?:donate|become a (?:member|patron"
    r"|subscriber)"
    r"|support (?:our|independent|quality)|make a (?:gift|donation|contribution)|free trial|join (?:now"
    r"|today|free)"
    r"|learn more|find out more|register (?:now|free|today|for)|get started|(?:buy|order|shop) now"
    r"|don['’]t miss"
    r"|stay (?:up to date|informed|tuned|connected)|delivered (?:to|straight)|continue reading|full story"
    r"|get (?:the )?(?:latest|day's|best|daily|breaking|our|access|alerts|more)|(?:have|got) (?:a"
    r"|your) (?:tip|story))"
    r"\b|\b(?:folgen sie|folge uns|hier klicken|suivez|cliquez|s[ií]guenos|haz clic|haga clic|siga"
    r"|clique aqui"
    r"|seguici|clicca|receba|нажмите|подробнее|volg ons|klik hier|dołącz do|kliknij)\b|点击|关注"
    r"|クリック|フォロー|클릭|팔로우|تابعنا|اضغط",
    "reply form": r"^\W*(?:leave a (?:reply|comment)|cancel reply|post (?:a )?comment|add (?:a "
    r"|your )?comment"
    r"|write a comment|submit(?: comment)?|reply|(?:your )?(?:full |first |last )?(?:name"
    r"|e-?mail(?: address)?"
    r"|website|message|comment)s?(?: \(?(?:required|optional)\)?)?\s*\*?:?|required fields.*"
    r"|notify me.*)\W*$"
    r"|\be-?mail address will not be\b|\bsave my name\b|\brequired fields\b|\bmust be logged in\b"
    r"|\blog ?in to (?:comment|reply|leave|post)|^(?:schreiben? sie einen? kommentar|kommentar (?:schreiben"
    r"|hinterlassen)|laisser un commentaire|deja un comentario|deixe (?:um|seu) coment|lascia un commento"
    r"|оставить комментарий|добавить комментарий|コメントを|发表评论|اترك تعليق)",
    "comments": r"^\W*(?:\(?\d[\d,.]* ?)?(?:comments?|replies|responses?|kommentare?|commentaires?"
    r"|coment[aá]rios?"
    r"|commenti|комментари\w*|评论|コメント|댓글|komentar|تعليقات?"
    r"|reageren|reacties|komentarze|yorum(?:lar)?|kommentarer|réactions?|vos réactions)(?: ?\(?\d+\)?"
    r"| off| closed| below"
    r"| section)?\W*$"
    r"|^(?:view|show|see|read|load|hide|all|top|recent|latest|no|sort|most)\b.{0,20}\bcomments?\b.{0,15}$"
    r"|\b(?:join|start) the (?:conversation|discussion|debate)\b|\bcomments (?:are|have been|will be"
    r"|on this)\b"
    r"|\b(?:community|comment|commenting|submission) (?:guidelines|policy|rules)\b|\b\w* says:$"
    r"|^(?:\d+ )?(?:reply|like|upvote|report|permalink|votes?|score|rating)\b.{0,12}$|\bwhat do you think\b"
    r"|\b(?:let us know|tell us).{0,30}\b(?:comments?|below|think)\b",
    "related links": r"^\W*(?:related|read(?: more| next| also| this| the (?:full|whole|rest)| on| full|:)"
    r"|also (?:read|see|on|watch)|see (?:also|more|all)|more (?:from|on|in|stories|news|about|by|like|to"
    r"|top)"
    r"|you (?:may|might|['’]ll|will)(?: also)? (?:like|enjoy|love|be interested)|recommend(?:ed)?"
    r"|suggested|trending"
    r"|most (?:read|popular|viewed|shared|recent|commented|watched)|popular|don['’]t miss|up next"
    r"|what to read next"
    r"|(?:previous|next|prev|older|newer)(?: (?:post|article|story|entry|page)s?)?\W*$"
    r"|editor['’]?s['’]? (?:picks?"
    r"|choice)|top (?:stories|news|posts|videos|headlines|picks)|latest|recent (?:posts|stories|articles"
    r"|news)"
    r"|in (?:this|other) (?:section|story|news)|explore|featured|from (?:the|our|around) (?:web|archive"
    r"|partners)"
    r"|other (?:stories|news|articles)|further reading|keep reading|if you (?:liked|enjoyed)|lies auch"
    r"|lesen sie"
    r"|lees (?:ook|verder|meer)|meer (?:over|nieuws)|meest gelezen|czytaj|zobacz (?:też|także)|przeczytaj"
    r"|[iİ]lgili haber|bunlar da|läs (?:också|mer|även)|les også|læs også|más información|archivado en"
    r"|sigue leyendo"
    r"|i più letti|per approfondire|mehr lesen|mehr (?:zum|aus|von|zu)|weitere|meistgelesen|das könnte"
    r"|lire aussi|à lire|voir aussi"
    r"|sur le même sujet"
    r"|les plus|lea también|le puede|te puede|más (?:leído|noticias)|relacionad\w+|leia (?:também|mais)"
    r"|mais (?:lidas|notícias)|veja (?:também|mais)|artigos|leggi anche|potrebbe|più letti|читайте также"
    r"|смотрите также|по теме|похожие|相关|推荐|热门|関連|おすすめ|人気|あわせて読みたい|관련|추천"
    r"|많이 본|baca juga"
    r"|terkait|اقرأ|ذات صلة)",
    "page navigation": r"^\W*(?:home|home ?page|menu|main menu|search\b.{0,20}|(?:skip|jump) to\b.*"
    r"|sign (?:in|out)"
    r"|log ?(?:in|out)|register|my account|account|about(?: us)?|contact(?: us)?|help|faqs?|careers|jobs"
    r"|advertise\b.*|advertising|site ?map|archives?|back\b.{0,20}|(?:return|back|scroll) to (?:top"
    r"|home\w*)"
    r"|toggle\b.*|close|open|expand|show(?: more| less)?|load more|more|(?:view|see) all|next|previous|prev"
    r"|sections?|topics?|categor(?:y|ies)|editions?|language|settings|preferences|feedback|press|feeds?"
    r"|podcasts?"
    r"|videos?|photos?|gallery|live|breaking(?: news)?|news|sports?|opinion|politics|business"
    r"|tech(?:nology)?"
    r"|entertainment|lifestyle|culture|world|weather|follow(?:ing)?|edit profile|loading\b.*|ok|got it"
    r"|accept|dismiss|play|pause|mute|startseite|suche|impressum|kontakt|anmelden|accueil|rechercher"
    r"|connexion|inicio|buscar|contacto|início|contato|pesquisar|cerca|contatti|accedi|главная|поиск"
    r"|войти|контакты|s['’]abonner|se connecter|s['’]identifier|aller au contenu|ir (?:para o"
    r"|al) conte(?:ú|ni)do"
    r"|iniciar sesión|suscríbete|abbonati|inloggen|zoeken|anasayfa|gündem|giriş yap|szukaj|zaloguj się"
    r"|logga in"
    r"|ニュース一覧.*"
    r"|меню|首页|登录|搜索|ホーム|検索|ログイン|홈|검색|로그인|메뉴|beranda|الرئيسية|بحث|terms\b.{0,30}"
    r"|privacy\b.{0,30}"
    r"|accessibility\b.{0,20}|cookies?\b.{0,20}|do not sell.*|ad ?choices|your (?:california|privacy"
    r"|ad)\b.*"
    r"|datenschutz.*|agb|mentions légales|aviso legal)\W*$|.\s[»›→]\s.*\s[»›→]\s|^\W*home\s*[»›>/|]",
    "cookie banner": r"\bcookies\b|\b(?:privacy (?:policy|notice|statement)|terms (?:of|and) (?:use|service"
    r"|conditions)|user agreement|gdpr|personal data|datenschutz\w*|nutzungsbedingungen"
    r"|politique de confidentialité"
    r"|política de privaci\w+|recaptcha)\b",
    "copyright note": r"©|ⓒ|\(c\) ?(?:19|20)\d\d|\bcopyright\b|\ball rights reserved\b|\b(?:may"
    r"|must) not be"
    r" (?:published|reproduced|copied|broadcast|distributed|used)\b|\bregistered trademarks?\b"
    r"|\b(?:alle rechte vorbehalten|tous droits|todos los derechos|todos os direitos|tutti i diritti"
    r"|все права)\b"
    r"|版权所有|無断転載|무단전재|저작권|حقوق النشر",
    "caption": r"^\W*(?:images?|photos?|pictures?|video|illustration|graphic|credits?|foto|fotos|bild"
    r"|immagine|imagen"
    r"|imagem|фото|图片|写真|사진|(?:media ?)?caption|file photo)(?: (?:by|credits?|via|copyright|caption"
    r"|illustration"
    r"|courtesy|gallery|source|\d+))*\b\W*(?::|by|\||©|/|via|from|courtesy|\d|$)|^(?:image"
    r"|media) ?(?:caption"
    r"|copyright)|\b(?:getty(?: images)?|shutterstock|istock|unsplash|ap photo|afp|file photo|pool photo"
    r"|stock photo|press association|pa wire|wireimage|alamy|picture alliance|imago|xinhua"
    r"|epa)\b[^.]{0,40}\)?$"
    r"|\((?:photo|image|credit|foto|ap|picture|bild|video)\b|\b(?:photo|image|picture|photograph"
    r"|illustration"
    r"|screenshot|courtesy|credit)s?(?: ?:| by| via| from| courtesy)\b.{0,60}$|\b\w+/(?:ap|afp|reuters"
    r"|getty|epa)\b",
    "byline": r"^\W*(?:by|von|par|por|di|da|от|автор:?|written by|posted by|reviewed by|reported by"
    r"|published by"
    r"|text:|author:?|words:|story by)\s+\w.{0,60}$|^.{0,40}\b(?:reporter|correspondent|staff writer"
    r"|contributor"
    r"|columnist|기자|記者|记者)\W*$|\b\d+[ -]?min(?:ute)?s?(?: read|\.? to read|\. lesezeit)\b"
    r"|^\W*(?:published"
    r"|updated|posted|last (?:updated|modified|edited)|first published|veröffentlicht|aktualisiert|publié"
    r"|mis à jour"
    r"|publicado|actualizado|atualizado|pubblicato|aggiornato|опубликовано|обновлено|发布|更新|公開"
    r"|기사입력|입력|수정)"
    r"\b.{0,60}$",
    "advertisement": r"^\W*(?:advertis\w+|advert|ads?|sponsored|promoted|paid (?:content|post|partner)"
    r"|anzeige|werbung"
    r"|publicité|publicidade?|pubblicità|реклама|广告|広告|광고|iklan|إعلان)\b.{0,25}$"
    r"|\bscroll (?:down )?(?:to|for)\b"
    r"|\b(?:story|article) continues\b|\baffiliate (?:links?|commission|partner)",
    "author box": r"^\W*about (?:the |this )?(?:authors?|writer|contributor)\b"
    r"|^about [^\W\d_][\w.'’-]*(?: [\w.'’-]+){0,4}?\s+\d+ (?:articles|posts)\b|^\W*(?:über (?:den"
    r"|die) autor"
    r"|à propos de l|sobre (?:el|la|o|a)? ?autor|об авторе)|\b(?:is|was) (?:an?|the"
    r"|our)\b.{0,60}\b(?:writer"
    r"|journalist|reporter|editor|author|columnist|correspondent|blogger|contributor|freelancer|producer"
    r"|fellow)\b"
    r"|\b(?:writes|covers|blogs|tweets|edits) (?:about|on|for|from|at)\b|\bfollow (?:him|her|them|me)\b"
    r"|\b(?:can be|reach|contact|email) (?:reached|him|her|them|contacted)\b.{0,20}(?:at|via|on|@)"
    r"|\bview all posts\b|\b(?:more|all) (?:articles|posts|stories) (?:by|from) ",
    "disclaimer": r"^\W*(?:disclaimer|disclosure|haftungsausschluss)\b|\b(?:views"
    r"|opinions)\b.{0,40}\b(?:expressed"
    r"|are (?:those|their|solely))\b|\bdo(?:es)? not (?:necessarily )?(?:reflect|represent|constitute)\b"
    r"|\b(?:originally|first) (?:published|appeared|posted)\b|\b(?:informational|educational) purposes\b"
    r"|\bthis (?:site|website|page|blog)\b|\bour (?:site|website|readers|partners|newsroom|journalism|app"
    r"|channel)\b",
    "source link": r"^\W*(?:source|via|sources|quelle|fuente|fonte|источник|来源|出典|출처|sumber|h/t"
    r"|المصدر)\b"
    r"(?: (?:link|article|site|page|url))?\W{0,3}(?:.{0,40})$",
    "tags": r"^\W*(?:tags?|tagged(?: with| as)?|filed (?:under|to|in)|related topics|labels?|keywords?"
    r"|posted (?:in|on|under)|schlagw\w+|themen|mots[- ]clés|etiquetas|temas|теги|метки|标签|タグ"
    r"|태그)\b\W?.{0,120}$"
    r"|^(?:#\w+[\s,]*)+$",
}
KINDS = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _PATTERNS.items()}

LINK_MARK = re.compile(
    r"^\W*(?:related|also (?:read|see|watch)|see also|read (?:more|also|next|this)|watch|recommended"
    r"|don['’]t miss"
    r"|lesen sie auch|lies auch|lire aussi|lea también|lee también|leia (?:também|mais)|veja também"
    r"|leggi anche"
    r"|читайте также|смотрите также|baca juga|相关|関連)\s*[:：]|^\W*also on \S+\.\w+\b",
    re.IGNORECASE,
)
"""The start of a line that leads to another article."""

DATE = re.compile(
    rf"\b(?:{_MONTHS})\b\.?|\b{_NUMERIC_DATE}\b|\d{{4}}年(?:\d+月\d+日)?|\b\d{{1,2}}:\d{{2}}\b|\b{_AGO}\b",
    re.IGNORECASE,
)
BESIDE_DATE = re.compile(
    r"\d+|\b(?:[A-Z]{2,4}|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?|[ap]\.?m|at|on"
    r"|the|de|um|uhr"
    r"|by|posted|published|updated|last|le|to|st|nd|rd|th)\b|[^\w]+"
)
"""Words beside a date, in a line that says when and no more."""

OF_PAGES = re.compile(
    r"\b(?:articles?|posts?|site|website|page|blog|newsletters?|inbox|e-?mails?|subscri\w+|account"
    r"|password|log ?in"
    r"|sign|click|links?|comments?|cookies?|privacy|terms|policy|browser|app|online|advertis\w*|ads"
    r"|sponsor\w*"
    r"|partners?|content|readers?|editors?|editorial|journalis\w+|reporter|writer|authors?|columnist"
    r"|publish\w*"
    r"|copyright|rights|reserved|permission|follow|share|like|join|free|offers?|updates?|alerts?"
    r"|notifications?|latest"
    r"|stories|story|read|photo|image|getty|video|podcast|facebook|twitter|instagram|youtube|contact"
    r"|support"
    r"|donat\w+|members?(?:hip)?|feedback|corrections?|disclaimer|views|opinions?|expressed|our|your|you"
    r"|we|us)\b",
    re.IGNORECASE,
)
"""Words that pages use of themselves and of their readers."""
